use crate::generate::{EMAILS, filters, values};
use crate::{fields, read};
use muster_core::filter::Filter;
use muster_core::order::{index_keys, order_key};
use muster_core::sort::{Place, Sort, SortCursor};
use muster_core::user::User;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

fn users() -> impl Strategy<Value = User> {
    let email = proptest::option::of(proptest::sample::select(EMAILS));
    (1..12i64, email, values()).prop_map(|(id, email, values)| crate::user(id, email, &values))
}

/// Any JSON at all, of words that filters are made of.
fn anything() -> impl Strategy<Value = Json> {
    let word = proptest::sample::select(
        &[
            "city", "points", "tags", "extra", "and", "or", "not", "all", "in", "eq", "gt", "contains", "is_set", "id",
            "é",
        ][..],
    );
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        ".{0,6}".prop_map(Json::from),
        word.clone().prop_map(Json::from),
    ];
    leaf.prop_recursive(6, 40, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            proptest::collection::vec((word.clone(), inner), 0..4)
                .prop_map(|members| members.into_iter().map(|(key, json)| (key.to_owned(), json)).collect()),
        ]
    })
}

fn sort(key: &str) -> Sort {
    Sort::read(&json!(key), "/sort", &fields()).expect("it is right")
}

proptest! {
    #[test]
    fn whoever_matches_is_found_by_the_access(filter in filters(), user in users()) {
        let filter = read(&filter.to_string()).expect("it is right");
        if filter.matches(&user) {
            let access = filter.access(&fields());
            prop_assert!(access.finds(&user), "{:?}", access);
        }
    }

    #[test]
    fn not_is_plain_negation(filter in filters(), user in users()) {
        let negated = json!({"not": filter}).to_string();
        let filter = read(&filter.to_string()).expect("it is right");
        prop_assert_ne!(filter.matches(&user), read(&negated).expect("it is right").matches(&user));
    }

    #[test]
    fn members_of_an_object_and_a_list_of_and_mean_the_same(a in filters(), b in filters(), user in users()) {
        let both = read(&json!({"and": [a, b]}).to_string()).expect("it is right");
        let either = read(&json!({"or": [a, b]}).to_string()).expect("it is right");
        let one = |filter: serde_json::Value| read(&filter.to_string()).expect("it is right").matches(&user);
        prop_assert_eq!(both.matches(&user), one(a.clone()) && one(b.clone()));
        prop_assert_eq!(either.matches(&user), one(a) || one(b));
    }

    #[test]
    fn a_filter_is_kept_as_it_is(filter in filters()) {
        let filter = read(&filter.to_string()).expect("it is right");
        let kept = serde_json::to_string(&filter).expect("it is plain");
        prop_assert_eq!(serde_json::from_str::<Filter>(&kept).expect("it is ours"), filter);
    }

    #[test]
    fn nothing_panics_and_every_refusal_names_a_place(json in anything()) {
        if let Err(error) = read(&json.to_string()) {
            let pointer = error.errors[0].pointer.clone().expect("it names a place");
            prop_assert!(pointer.starts_with("/filter"), "{}", pointer);
        }
    }

    #[test]
    fn keys_order_users_as_filters_compare_them(a in users(), b in users()) {
        for (key, kind, _) in crate::FIELDS.iter().filter(|(_, kind, _)| kind.is_ordered()) {
            let number = fields().number_of(key).expect("there is such a field");
            let (Some(x), Some(y)) = (a.values.get(number), b.values.get(number)) else { continue };
            let keys = (order_key(x).expect("it is ordered"), order_key(y).expect("it is ordered"));
            if keys.0 == keys.1 {
                prop_assert_eq!(x.to_string(), y.to_string());
            }
            prop_assert_eq!(index_keys(x).len(), 1);
            let comparable = matches!(kind, muster_core::field::FieldType::Boolean | muster_core::field::FieldType::Select);
            if !comparable {
                let less = read(&json!({*key: {"lt": y.to_string()}}).to_string()).expect("it is right");
                prop_assert_eq!(less.matches(&a), keys.0 < keys.1, "{} {}", x, y);
            }
        }
    }

    #[test]
    fn an_order_is_total_and_who_has_no_value_is_last(a in users(), b in users(), c in users(), down: bool) {
        for (key, _, _) in crate::FIELDS.iter().filter(|(_, kind, _)| kind.is_ordered()) {
            let sort = sort(&format!("{}{key}", if down { "-" } else { "" }));
            let mut places: Vec<Place> = [&a, &b, &c].map(|user| sort.place(user)).into();
            places.sort_by(|a, b| sort.compare(a, b));
            prop_assert!(places.is_sorted_by(|a, b| sort.compare(a, b).is_le()));
            prop_assert!(places.is_sorted_by_key(|place| place.keys[0].is_none()));
            let turned = sort.compare(&places[2], &places[0]).reverse();
            prop_assert_eq!(sort.compare(&places[0], &places[2]), turned);
        }
    }

    #[test]
    fn a_cursor_is_read_back_by_its_own_sort_only(user in users()) {
        let (one, other) = (sort("points"), sort("-points"));
        let cursor: SortCursor = one.cursor(one.place(&user)).to_string().parse().expect("it is ours");
        prop_assert_eq!(one.after(&cursor).expect("it is its own"), one.place(&user));
        prop_assert!(other.after(&cursor).is_err());
    }
}

#[test]
fn a_sort_that_cannot_be_is_refused_with_its_place() {
    for (sort, pointer) in [
        (json!("town"), "/sort"),
        (json!("--points"), "/sort"),
        (json!(""), "/sort"),
        (json!(7), "/sort"),
        (json!("tags"), "/sort"),
        (json!("-extra"), "/sort"),
        (json!(["points", "-points"]), "/sort/1"),
        (json!(["points", null]), "/sort/1"),
        (json!(["points", "city", "id"]), "/sort"),
    ] {
        let error = Sort::read(&sort, "/sort", &fields()).unwrap_err();
        assert_eq!(error.errors[0].pointer.as_deref(), Some(pointer), "{sort}");
    }
    for text in ["", "1", "{}", r#"{"sort":"","after":{"keys":["\u0000"],"id":1}}"#] {
        assert!(text.parse::<SortCursor>().is_err(), "{text}");
    }
}
