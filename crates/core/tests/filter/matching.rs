use crate::{fields, read, user};
use muster_core::filter::{Filter, Test, TextPlace, TextTest};
use muster_core::user::User;
use muster_core::value::Value;

fn ada() -> User {
    user(
        7,
        Some("Ada@Example.org"),
        &[
            ("city", "Saint-Étienne"),
            ("points", "10"),
            ("rate", "1.50"),
            ("balance", "9999999999999999999999999999"),
            ("subscribed", "no"),
            ("born", "1990-05-17"),
            ("seen", "2024-01-01T10:00:00+02:00"),
            ("tier", "b"),
            ("tags", "a;c"),
            ("extra", r#"{"a":[1.0,{"b":null}],"c":"x"}"#),
        ],
    )
}

#[test]
fn a_user_matches_by_value_whatever_the_writing() {
    let (ada, nobody) = (ada(), user(8, None, &[]));
    // Filter, whether the user with values matches, whether the one without any does.
    for (text, with, without) in [
        ("{}", true, true),
        (r#"{"all":true}"#, true, true),
        (r#"{"city":"Saint-Étienne"}"#, true, false),
        (r#"{"city":"saint-étienne"}"#, false, false),
        (r#"{"city":{"ne":"Rome"}}"#, true, true),
        (r#"{"city":{"ne":"Saint-Étienne"}}"#, false, true),
        (r#"{"city":null}"#, false, true),
        (r#"{"city":{"ne":null}}"#, true, false),
        (r#"{"city":{"eq":null}}"#, false, true),
        (r#"{"city":{"is_set":true}}"#, true, false),
        (r#"{"city":{"is_set":false}}"#, false, true),
        (r#"{"city":{"contains":"-ÉTIEN"}}"#, true, false),
        (r#"{"city":{"contains":"-E\u0301tien"}}"#, true, false),
        (r#"{"city":{"starts_with":"SAINT"}}"#, true, false),
        (r#"{"city":{"starts_with":"Étienne"}}"#, false, false),
        (r#"{"city":{"starts_with":""}}"#, true, false),
        (r#"{"city":{"gt":"Saint-E","lt":"Sb"}}"#, true, false),
        (r#"{"city":{"in":["Rome","Saint-Étienne"]}}"#, true, false),
        (r#"{"city":{"in":["Rome",null]}}"#, false, true),
        (r#"{"city":{"in":[]}}"#, false, false),
        (r#"{"points":10}"#, true, false),
        (r#"{"points":10.0}"#, true, false),
        (r#"{"points":"10.00"}"#, true, false),
        (r#"{"points":10.5}"#, false, false),
        (r#"{"points":{"gte":10,"lt":50}}"#, true, false),
        (r#"{"points":{"gt":10}}"#, false, false),
        (r#"{"points":{"gt":9.999999999999,"lte":100}}"#, true, false),
        (r#"{"points":{"in":[1,"10"]}}"#, true, false),
        (r#"{"points":{"lt":0}}"#, false, false),
        (r#"{"rate":1.5}"#, true, false),
        (r#"{"balance":9999999999999999999999999999}"#, true, false),
        (r#"{"balance":{"gt":"9999999999999999999999999998"}}"#, true, false),
        (r#"{"subscribed":false}"#, true, false),
        (r#"{"subscribed":{"ne":true}}"#, true, true),
        (r#"{"subscribed":{"in":[true,false]}}"#, true, false),
        (r#"{"born":"1990-05-17"}"#, true, false),
        (r#"{"born":{"lt":"1990-05-18"}}"#, true, false),
        (r#"{"seen":"2024-01-01T08:00:00Z"}"#, true, false),
        (r#"{"seen":{"gt":"2024-01-01T07:59:59.999999999Z"}}"#, true, false),
        (r#"{"tier":"B"}"#, true, false),
        (r#"{"tier":{"in":["a","c"]}}"#, false, false),
        (r#"{"tags":["C","a"]}"#, true, false),
        (r#"{"tags":["a"]}"#, false, false),
        (r#"{"tags":"c;a"}"#, true, false),
        (r#"{"tags":{"contains":"c"}}"#, true, false),
        (r#"{"tags":{"contains":"b"}}"#, false, false),
        (r#"{"tags":{"in":[["b"],["c","a"]]}}"#, true, false),
        (r#"{"extra":{"eq":{"c":"x","a":[1,{"b":null}]}}}"#, true, false),
        (r#"{"extra":{"eq":{"c":"x","a":[1]}}}"#, false, false),
        (r#"{"extra":{"in":["x",{"c":"x","a":[1.00,{"b":null}]}]}}"#, true, false),
        (r#"{"extra":{"is_set":false}}"#, false, true),
        (r#"{"id":7}"#, true, false),
        (r#"{"id":{"gt":7}}"#, false, true),
        (r#"{"id":{"in":["7",9]}}"#, true, false),
        (r#"{"email":"ADA@example.ORG"}"#, true, false),
        (r#"{"email":{"contains":"@EXAMPLE."}}"#, true, false),
        (r#"{"email":null}"#, false, true),
        (r#"{"created_at":{"gte":"2023-11-14T22:13:27Z","lt":"2023-11-14T22:13:28Z"}}"#, true, false),
        (r#"{"updated_at":{"is_set":true}}"#, true, true),
        (r#"{"not":{"points":{"gte":10}}}"#, false, true),
        (r#"{"not":{"not":{"points":10}}}"#, true, false),
        (r#"{"points":10,"city":"Rome"}"#, false, false),
        (r#"{"or":[{"points":10},{"city":"Rome"}]}"#, true, false),
        (r#"{"and":[{"points":10},{"not":{"city":"Rome"}}],"id":{"lt":8}}"#, true, false),
    ] {
        let filter = read(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!((filter.matches(&ada), filter.matches(&nobody)), (with, without), "{text}");
    }
}

#[test]
fn a_text_is_found_in_a_value_of_any_type_as_a_file_would_write_it() {
    let (ada, nobody) = (ada(), user(8, None, &[]));
    for (key, place, text, ignores_case, expected) in [
        ("city", TextPlace::Within, "-Étien", false, true),
        ("city", TextPlace::Within, "-ÉTIEN", false, false),
        ("city", TextPlace::Within, "-ÉTIEN", true, true),
        ("city", TextPlace::Start, "Saint", false, true),
        ("city", TextPlace::Start, "saint", false, false),
        ("city", TextPlace::Start, "Étienne", true, false),
        ("city", TextPlace::End, "enne", false, true),
        ("city", TextPlace::End, "ENNE", false, false),
        ("city", TextPlace::End, "ENNE", true, true),
        ("points", TextPlace::Start, "1", false, true),
        ("points", TextPlace::End, "1", false, false),
        ("subscribed", TextPlace::Within, "False", true, true),
        ("born", TextPlace::Start, "1990-05", false, true),
        ("tags", TextPlace::Within, "c", false, true),
        ("tags", TextPlace::Within, "b", false, false),
        ("notes", TextPlace::Within, "", true, false),
    ] {
        let (fields, test) = (fields(), Test::Text(TextTest::new(place, text, ignores_case)));
        let subject = muster_core::filter::Subject::Field(fields.find_by_key(key).unwrap().number);
        let filter = Filter::Is(subject, test);
        assert_eq!((filter.matches(&ada), filter.matches(&nobody)), (expected, false), "{key} {place:?} {text}");
    }
}

#[test]
fn a_default_is_what_users_without_a_value_have_but_to_what_asks_for_one() {
    let fields = fields();
    let points = fields.find_by_key("points").unwrap().number;
    let (unset, zero, five) =
        (user(1, None, &[]), user(2, None, &[("points", "0")]), user(3, None, &[("points", "5")]));
    for (text, of_zero, of_five) in [
        (r#"{"points":0}"#, true, false),
        (r#"{"points":{"ne":0}}"#, false, true),
        (r#"{"points":{"in":[0,5]}}"#, true, true),
        (r#"{"not":{"points":{"gte":5}}}"#, true, false),
        (r#"{"or":[{"points":{"lt":0}},{"points":{"gt":4}}]}"#, false, true),
        (r#"{"rate":0}"#, false, false),
    ] {
        let filter = read(text).unwrap().with_default(points, &Value::Integer(0));
        let found = [&unset, &zero, &five].map(|user| filter.matches(user));
        assert_eq!(found, [of_zero, of_zero, of_five], "{text}");
    }
    for (text, of_unset) in [(r#"{"points":null}"#, true), (r#"{"points":{"is_set":true}}"#, false)] {
        let filter = read(text).unwrap().with_default(points, &Value::Integer(0));
        assert_eq!((filter.matches(&unset), filter.matches(&zero)), (of_unset, !of_unset), "{text}");
    }
}
