use super::{get, make, post, refused};
use crate::on_every_database;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_found_by_its_email() {
    on_every_database(async |app| {
        let ada = make(app, json!({"email": "Ada@Example.com"})).await;
        make(app, json!({"email": "bob@example.com"})).await;
        let (status, user) = get(app, "/users/search/?email=ADA%40example.com").await;
        assert_eq!((status, &user["id"], &user["email"]), (200, &json!(ada), &json!("Ada@Example.com")));
        let nobody = json!({"detail": "There is no such user in this community."});
        assert_eq!(get(app, "/users/search/?email=eve%40example.com").await, (404, nobody));
        let (status, page) = get(app, "/users/search/?email=eve%40example.com&many=true").await;
        assert_eq!((status, page), (200, json!({"count": 0, "next": null, "previous": null, "results": []})));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_found_by_conditions_on_attributes() {
    on_every_database(async |app| {
        app.make_field("Plan", "text").await;
        app.make_field("Is pro", "boolean").await;
        app.make_field("Level", "integer").await;
        app.make_field("Born", "date").await;
        let tier = json!({"name": "Tier", "type": "multi_select", "options": ["Gold", "Silver"]});
        assert_eq!(app.post("/v1/fields").json(&tier).send().await.unwrap().status(), 201);
        for (name, plan, pro, level, born) in [
            ("ann", "Gold plus", true, 9, "2000-01-01"),
            ("bob", "goldfish", false, 10, "1999-12-31"),
            ("cyd", "ÉTÉ", true, 100, "2001-05-05"),
        ] {
            make(
                app,
                json!({"email": format!("{name}@x.org"), "first_name": name, "plan": plan, "is_pro": pro,
                "level": level, "born": born, "tier": ["Gold"]}),
            )
            .await;
        }
        make(app, json!({"email": "dan@y.org"})).await;
        for (query, expected) in [
            ("email__contains=X.org", "ann bob cyd"),
            ("email__endswith=y.org", "dan"),
            ("email__startswith=ANN", "ann"),
            ("plan=goldfish", "bob"),
            ("Plan=Gold%20plus", "ann"),
            ("plan__contains=old", "ann bob"),
            ("plan__contains=Gold", "ann"),
            ("plan__icontains=GOLD", "ann bob"),
            ("plan__startswith=gold", "bob"),
            ("plan__istartswith=gold", "ann bob"),
            ("plan__istartswith=%C3%A9t", "cyd"),
            ("plan__endswith=plus", "ann"),
            ("plan__endswith=PLUS", ""),
            ("plan__iendswith=PLUS", "ann"),
            ("is_pro=True", "ann cyd"),
            ("is_pro__startswith=True", "ann cyd"),
            ("level=10", "bob"),
            ("level__gt=9", "bob cyd"),
            ("level__gte=9", "ann bob cyd"),
            ("level__lt=10", "ann"),
            ("level__lte=10", "ann bob"),
            ("level__contains=0", "bob cyd"),
            ("born__gte=2000-01-01", "ann cyd"),
            ("born__lt=2000-01-01", "bob"),
            ("tier=Gold", "ann bob cyd"),
            ("tier=Silver", ""),
            ("first_name=ann", "ann"),
            ("level__gt=9&is_pro=true", "cyd"),
        ] {
            let (status, page) = get(app, &format!("/users/search/?many=true&{query}")).await;
            assert_eq!(status, 200, "{query}: {page}");
            let name = |user: &Value| user["email"].as_str().unwrap().split('@').next().unwrap().to_owned();
            let names: Vec<String> = page["results"].as_array().unwrap().iter().map(name).collect();
            assert_eq!(names.join(" "), expected, "{query}");
            let first = expected.split(' ').next().filter(|name| !name.is_empty()).map(|name| format!("{name}@"));
            let (status, user) = get(app, &format!("/users/search/?{query}")).await;
            assert_eq!(status, if first.is_some() { 200 } else { 404 }, "{query}");
            let found = user["email"].as_str().unwrap_or_default();
            assert!(first.is_none_or(|first| found.starts_with(&first)), "{query}: {user}");
        }
        let (_, page) = get(app, "/users/search/?many=true&level__gt=0&page_size=2").await;
        assert_eq!((&page["count"], page["results"].as_array().unwrap().len()), (&json!(3), 2));
        assert!(page["next"].as_str().unwrap().contains("level__gt=0&many=true&page_size=2&cursor="), "{page}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_cannot_be_is_refused_by_its_name() {
    on_every_database(async |app| {
        app.make_field("Level", "integer").await;
        for (query, member) in [
            ("", "email"),
            ("many=true", "email"),
            ("many=perhaps&email=a%40b.c", "many"),
            ("colour=red", "colour"),
            ("level=x", "level"),
            ("level__gt=x", "level__gt"),
            ("level__near=1", "level__near"),
            ("is_on__gt=1", "is_on__gt"),
            ("addresses__gt=1", "addresses__gt"),
            ("id=1", "id"),
        ] {
            refused(&get(app, &format!("/users/search/?{query}")).await, member);
        }
        assert_eq!(post(app, "/users/search/", &json!({})).await.0, 405);
    })
    .await;
}
