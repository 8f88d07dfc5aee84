use super::error_of;
use crate::App;
use crate::app::json_of;
use crate::on_every_database;
use muster_engine::Fault;
use reqwest::Method;
use serde_json::{Value, json};

async fn post(app: &App, path: &str, body: Value) -> (u16, Value) {
    let (status, answer) = json_of(app.post(path).json(&body)).await;
    (status.as_u16(), answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attribute_is_made_as_documented_and_is_a_field() {
    on_every_database(async |app| {
        let new = json!({"class": "user", "descriptions": [{"language": "EN", "value": "Shoe colour"}], "group": "", "isHidden": false,
            "isPublic": true, "isSearchable": true, "isSystem": false, "name": "COLOR", "type": "enum", "typeParam": "Red;Dark green",
            "value": ""});
        let (status, answer) = post(app, "/v2/attributes", new).await;
        assert_eq!((status, &answer["messages"], &answer["total"]), (201, &json!(["Attribute created"]), &json!(1)), "{answer}");
        let id = answer["data"]["id"].clone();
        assert!(id.is_u64(), "{answer}");
        let expected = json!({"class": "user", "defaultLanguage": "EN", "descriptions": [{"language": "EN", "value": "Shoe colour"}],
            "group": "", "id": id, "isHidden": false, "isPublic": true, "isSearchable": true, "isSystem": false, "name": "COLOR",
            "type": "enum", "typeParam": "Red;Dark green", "units": [], "value": ""});
        assert_eq!(answer["data"], expected);
        for path in [format!("/attributes/id/{id}"), "/v2/attributes/name/COLOR?attributeClass=user".to_owned()] {
            let (status, answer) = app.get(&path).await;
            assert_eq!((status.as_u16(), answer), (200, json!({"data": expected, "messages": [], "total": 1})));
        }
        let (_, fields) = app.get("/v1/fields").await;
        let field = fields["data"].as_array().unwrap().iter().find(|field| field["key"] == "color").unwrap();
        assert_eq!((&field["name"], &field["type"]), (&json!("Shoe colour"), &json!("select")));
        assert_eq!(field["options"][1], json!({"key": "dark_green", "name": "Dark green"}));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_has_its_field_and_what_is_not_kept_is_said() {
    on_every_database(async |app| {
        for (kind, shown, field) in [
            ("text", "text", "text"),
            ("list", "list", "json"),
            ("integer", "integer", "integer"),
            ("INT", "integer", "integer"),
            ("DECIMAL", "decimal", "decimal"),
            ("date", "date", "date"),
            ("DATETIME", "datetime", "datetime"),
            ("COLOR", "text", "text"),
        ] {
            let name = format!("OF_{}", kind.to_uppercase()) + if kind == "INT" { "_2" } else { "" };
            let (status, answer) = post(app, "/attributes", json!({"name": name, "class": "user", "type": kind})).await;
            assert_eq!((status, &answer["data"]["type"]), (201, &json!(shown)), "{answer}");
            let (_, fields) = app.get("/v1/fields").await;
            let made = fields["data"].as_array().unwrap().last().unwrap();
            assert_eq!((&made["type"], &made["key"]), (&json!(field), &json!(name.to_lowercase())));
        }
        let (_, answer) = post(
            app,
            "/attributes",
            json!({"name": "X", "class": "user", "type": "integer", "value": 5, "isHidden": true, "units": [{"language": "EN", "value": "kg"}]}),
        )
        .await;
        assert_eq!(answer["messages"], json!(["Attribute created", "Not kept: isHidden, units, value."]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_definition_is_refused_and_attributes_that_are_not_there_are_not_found() {
    on_every_database(async |app| {
        for (body, code, message) in [
            (json!([]), 10007, "#: expected type: JSONObject"),
            (json!({"name": "A", "class": "user"}), 10007, "#: required key [type] not found"),
            (json!({"name": "A", "class": "user", "type": "text", "x": 1}), 10007, "#: extraneous key [x]"),
            (
                json!({"name": "A", "class": "user", "type": "text", "isPublic": "yes"}),
                10007,
                "#/isPublic: expected type: Boolean",
            ),
            (json!({"name": "a", "class": "user", "type": "text"}), 10017, "Invalid name [a]"),
            (json!({"name": "", "class": "user", "type": "text"}), 10017, "Invalid name []"),
            (json!({"name": "A", "class": "product", "type": "text"}), 10017, "Invalid class [product]"),
            (json!({"name": "A", "class": "user", "type": "colour"}), 10017, "Invalid type [colour]"),
            (json!({"name": "A", "class": "user", "type": "enum"}), 10017, "typeParam"),
            (json!({"name": "A", "class": "user", "type": "text", "typeParam": "B"}), 10017, "typeParam"),
            (json!({"name": "CITY", "class": "user", "type": "text"}), 10017, ""),
            (json!({"name": "EMAIL", "class": "user", "type": "text"}), 10017, ""),
        ] {
            let (status, answer) = post(app, "/attributes", body).await;
            assert_eq!((status, &error_of(&answer)["code"]), (400, &json!(code)), "{answer}");
            assert!(error_of(&answer)["messages"][0].as_str().unwrap().starts_with(message), "{answer}");
        }
        for (path, status, code, message) in [
            ("/attributes/id/999", 404, 14001, "Attribute with id [999] not found."),
            ("/attributes/name/COLOR", 404, 14001, "Attribute with name [COLOR] not found."),
            (
                "/attributes/name/CITY?attributeClass=product",
                404,
                14001,
                "Attribute with name [CITY] and attributeClass [product] not found.",
            ),
            ("/attributes/name/FIRST_NAME", 404, 14001, "Attribute with name [FIRST_NAME] not found."),
            (
                "/attributes/key/city",
                400,
                10006,
                "Invalid lookup key [key], key must contain one of the following values: [id,name]",
            ),
            ("/attributes?offset=101", 400, 10007, ""),
            ("/attributes?page=0", 400, 10007, ""),
        ] {
            let (answered, answer) = app.get(path).await;
            assert_eq!((answered.as_u16(), &error_of(&answer)["code"]), (status, &json!(code)), "{answer}");
            assert!(error_of(&answer)["messages"][0].as_str().unwrap().starts_with(message), "{answer}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_come_in_pages_of_twelve() {
    on_every_database(async |app| {
        for number in 0..15 {
            post(app, "/attributes", json!({"name": format!("A_{number}"), "class": "user", "type": "integer"})).await;
        }
        let (_, all) = app.get("/attributes?offset=100").await;
        let found = all["itemsFound"].as_u64().unwrap();
        assert!(
            all["data"].as_array().unwrap().iter().all(|one| one["name"] != "FIRST_NAME"),
            "members are no attributes"
        );
        let (_, first) = app.get("/v2/attributes").await;
        assert_eq!((first["data"].as_array().unwrap().len(), first["offset"].as_u64()), (12, Some(12)));
        assert_eq!(first["pages"], found.div_ceil(12));
        let (_, page) = app.get("/v2/attributes?page=2&offset=5").await;
        assert_eq!(page["data"].as_array().unwrap()[..], all["data"].as_array().unwrap()[5..10]);
        assert_eq!((&page["start"], &page["end"], &page["page"]), (&json!(6), &json!(10), &json!(2)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_chosen_of_options_is_shown_by_their_names() {
    on_every_database(async |app| {
        app.run("?kind=import", "Email\nada@example.com\n").await;
        for (name, kind) in [("EN1", "enum"), ("EN2", "enumlist")] {
            let new = json!({"name": name, "class": "user", "type": kind, "typeParam": "Red;Dark green"});
            assert_eq!(post(app, "/attributes", new).await.0, 201);
        }
        let values = format!("/users/id/{}/attributes", app.user("ada@example.com").await["id"]);
        let set = json!([{"name": "EN1", "value": "Dark green"}, {"name": "EN2", "value": ["Dark green", "Red"]}]);
        let (_, answer) = post(app, &values, set).await;
        assert!(answer["data"].as_array().unwrap().iter().all(|one| one["success"] == true), "{answer}");
        let (_, page) = app.get(&values).await;
        let shown: Vec<_> = page["data"].as_array().unwrap().iter().map(|one| one["value"].clone()).collect();
        assert_eq!(shown, [json!("Dark green"), json!(["Red", "Dark green"])]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_a_user_are_set_cleared_and_shown() {
    on_every_database(async |app| {
        app.run("?kind=import", "Email,City,Region\nada@example.com,Rome,Lazio\n").await;
        let id = app.user("ada@example.com").await["id"].clone();
        let (_, made) = post(app, "/attributes", json!({"name": "SHOE_SIZE", "class": "user", "type": "integer"})).await;
        let number = made["data"]["id"].clone();
        let path = format!("/v2/users/id/{id}/attributes");
        let body = json!([
            {"id": number, "type": "integer", "value": "43"},
            {"name": "CITY", "class": "user", "type": "text", "value": 5},
            {"name": "REGION", "class": "user", "type": "text"},
            {"name": "NO_SUCH", "class": "user", "type": "text", "value": "x"},
            {"id": 800, "type": "text", "value": "x"},
            {"name": "PREMIUM_CURRENCY", "class": "user", "type": "decimal", "value": "-5"},
        ]);
        let (status, answer) = post(app, &path, body).await;
        assert_eq!((status, &answer["messages"], &answer["total"]), (200, &json!(["Completed"]), &json!(6)), "{answer}");
        let data = &answer["data"];
        assert_eq!(data[0], json!({"action": "put", "id": number, "key": number, "lookupKey": "id", "success": true}));
        assert_eq!(data[1]["error"], "Invalid value provided. Attribute type is [text].");
        assert_eq!((&data[2]["action"], &data[2]["success"]), (&json!("delete"), &json!(true)));
        assert_eq!(data[3]["error"], "Attribute with name [NO_SUCH] and attributeClass [user] not found.");
        assert_eq!(data[4]["error"], "Attribute with id [800] not found.");
        assert_eq!(data[5]["success"], false, "the user has nothing to take from");
        let (_, shown) = app.get(&path).await;
        assert_eq!(shown["itemsFound"], 2);
        assert_eq!(
            shown["data"],
            json!([
                {"class": "user", "id": shown["data"][0]["id"], "inherited": false, "name": "CITY", "type": "text", "value": "Rome"},
                {"class": "user", "id": number, "inherited": false, "name": "SHOE_SIZE", "type": "integer", "value": 43},
            ])
        );
        let (status, answer) = post(app, "/users/id/999/attributes", json!([])).await;
        assert_eq!((status, &error_of(&answer)["code"]), (404, &json!(70006)));
        for (body, code) in [
            (json!({}), 10007),
            (json!([{"value": "x"}]), 10016),
            (json!([{"name": "CITY", "x": 1}]), 10007),
            (json!([{"name": "CITY", "value": {}}]), 10007),
        ] {
            let (status, answer) = post(app, &path, body).await;
            assert_eq!((status, &error_of(&answer)["code"]), (400, &json!(code)), "{answer}");
        }
        app.engine.verify().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_cannot_be_set_leaves_the_others_and_an_earlier_one_of_its_attribute_alone() {
    on_every_database(async |app| {
        for field in [
            json!({"name": "Small", "type": "integer", "max": "10"}),
            json!({"name": "Card", "type": "text", "unique": true}),
            json!({"name": "Badge", "type": "text", "unique": true}),
            json!({"name": "Needed", "type": "text", "required": true}),
        ] {
            let (status, made) = json_of(app.post("/v1/fields").json(&field)).await;
            assert_eq!(status, 201, "{made}");
        }
        app.run("?kind=import", "Email,Card,Badge,Needed\nbob@example.com,taken,worn,x\nada@example.com,,,y\n").await;
        let id = app.user("ada@example.com").await["id"].clone();
        let of = |name: &str, value: Value| json!({"name": name, "class": "user", "type": "text", "value": value});
        let body = json!([
            of("SMALL", json!(7)),
            of("SMALL", json!(11)),
            of("CARD", json!("taken")),
            of("CITY", json!("Rome")),
            of("BADGE", json!("worn")),
            of("CITY", json!("Oslo")),
            of("NEEDED", Value::Null),
            of("REGION", json!("Lazio")),
        ]);
        let (status, answer) = post(app, &format!("/v2/users/id/{id}/attributes"), body).await;
        assert_eq!(status, 200, "{answer}");
        let success: Vec<_> = answer["data"].as_array().unwrap().iter().map(|one| one["success"] == true).collect();
        assert_eq!(success, [true, false, false, true, false, true, false, true], "{answer}");
        assert_eq!(answer["data"][1]["error"], "11 is more than 10, the most that Small may hold");
        assert_eq!(answer["data"][6]["error"], "Needed must have a value");
        let ada = app.user("ada@example.com").await;
        assert_eq!(ada["values"], json!({"small": 7, "city": "Oslo", "region": "Lazio", "needed": "y"}));
        assert_eq!(ada["version"], 2, "all that can be set is set at once");
        app.engine.verify().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_attributes_are_made_and_changed_each_for_itself_as_documented() {
    on_every_database(async |app| {
        let body = json!([
            {"name": "WEIGHT", "class": "user", "type": "decimal"},
            {"name": "weight", "class": "user", "type": "decimal"},
            {"name": "COLOR", "class": "user", "type": "enum", "typeParam": "Red;Green"},
            {"name": "COLOR", "class": "user", "type": "text", "typeParam": "Red;Green;Blue", "group": "Looks"},
            {"name": "SHAPE", "class": "product", "type": "text"},
        ]);
        let (status, answer) = post(app, "/v2/attributes/bulk/name", body).await;
        assert_eq!((status, &answer["messages"], &answer["total"]), (200, &json!(["Completed"]), &json!(5)), "{answer}");
        let data = &answer["data"];
        let (weight, color) = (data[0]["id"].clone(), data[2]["id"].clone());
        let updated = "Attribute updated. Fields 'name', 'type' and 'class' are not updated.";
        assert_eq!(
            data[0],
            json!({"action": "create", "id": weight, "key": "WEIGHT", "lookupKey": "name", "message": "Attribute created.", "success": true})
        );
        assert_eq!((&data[1]["action"], &data[1]["message"]), (&json!("update"), &json!(updated)), "names have no case");
        assert_eq!((&data[2]["action"], &data[3]["action"]), (&json!("create"), &json!("update")));
        assert_eq!(data[3]["message"], format!("{updated} Not kept: group."));
        assert_eq!((&data[4]["action"], &data[4]["success"]), (&json!("create"), &json!(false)));
        let (_, shown) = app.get("/attributes/name/COLOR").await;
        assert_eq!((&shown["data"]["type"], &shown["data"]["typeParam"]), (&json!("enum"), &json!("Red;Green;Blue")));

        let body = json!([
            {"id": 0, "name": "LENGTH", "class": "user", "type": "integer"},
            {"id": color, "descriptions": [{"language": "EN", "value": "Colour"}]},
            {"id": 800, "name": "X", "class": "user", "type": "text"},
        ]);
        let (_, answer) = post(app, "/attributes/bulk/id", body).await;
        assert_eq!((&answer["data"][0]["action"], &answer["data"][0]["key"]), (&json!("create"), &json!(0)), "{answer}");
        assert_eq!(answer["data"][1]["message"], updated);
        assert_eq!(
            answer["data"][2],
            json!({"action": "update", "error": "Attribute with id [800] not found.", "key": 800, "lookupKey": "id", "success": false})
        );
        for (body, code) in [
            (json!({}), 10007),
            (json!([{"class": "user"}]), 10016),
            (json!([{"id": "x"}]), 10007),
            (json!([{"id": 1, "x": 1}]), 10007),
        ] {
            let (status, answer) = post(app, "/attributes/bulk/id", body).await;
            assert_eq!((status, &error_of(&answer)["code"]), (400, &json!(code)), "{answer}");
        }
        let (status, answer) = post(app, "/attributes/bulk/id", json!(vec![json!({"id": 0}); 1_001])).await;
        assert_eq!((status, &error_of(&answer)["type"]), (413, &json!("TooManyRecords")));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_are_made_with_the_answer_that_says_so_or_not_at_all() {
    on_every_database(async |app| {
        post(app, "/attributes", json!({"name": "OLD", "class": "user", "type": "integer"})).await;
        let body = json!([
            {"name": "RING", "class": "user", "type": "enum", "typeParam": "Gold"},
            {"name": "OLD", "class": "user", "isSearchable": true},
            {"name": "BELT", "class": "user", "type": "no type"},
            {"name": "RING", "class": "user", "typeParam": "Gold;Silver", "isSearchable": true},
            {"name": "HAT", "class": "user", "type": "integer"},
        ]);
        let send = async || {
            let request = app.post("/v2/attributes/bulk/name").header("Idempotency-Key", "one").json(&body);
            let (status, answer) = json_of(request).await;
            (status.as_u16(), answer)
        };
        let made = async |name: &str| app.get(&format!("/attributes/name/{name}")).await.0 == 200;
        app.faults.plan("accept.answered", 0, Fault::Crash);
        let (status, answer) = send().await;
        assert!(status >= 500, "{answer}");
        for name in ["RING", "BELT", "HAT"] {
            assert!(!made(name).await, "{name}");
        }
        let (status, answer) = send().await;
        let actions = answer["data"].as_array().unwrap().iter().map(|one| one["action"].as_str().unwrap_or_default());
        let actions: Vec<_> = actions.collect();
        assert_eq!((status, actions), (200, vec!["create", "update", "create", "update", "create"]), "{answer}");
        assert_eq!(answer["data"][2]["success"], false);
        assert_eq!(send().await, (200, answer));
        let (_, ring) = app.get("/attributes/name/RING").await;
        assert_eq!((&ring["data"]["typeParam"], &ring["data"]["isSearchable"]), (&json!("Gold;Silver"), &json!(true)));
        assert!(made("HAT").await && !made("BELT").await);
        app.engine.verify().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attribute_is_changed_and_deleted_as_documented() {
    on_every_database(async |app| {
        app.run("?kind=import", "Email,City\nada@example.com,Rome\n").await;
        let new = json!({"name": "COLOR", "class": "user", "type": "enum", "typeParam": "Red;Green"});
        let (_, made) = post(app, "/attributes", new).await;
        let id = made["data"]["id"].clone();
        let user = app.user("ada@example.com").await["id"].clone();
        let values = format!("/users/id/{user}/attributes");
        post(app, &values, json!([{"id": id, "value": "Red"}])).await;
        let patch = async |path: &str, body: Value| {
            let (status, answer) = json_of(app.request(Method::PATCH, path).json(&body)).await;
            (status.as_u16(), answer)
        };
        let description = json!({"descriptions": [{"language": "EN", "value": "Colour"}], "isSearchable": true, "typeParam": "Green;Red;Blue"});
        let (status, answer) = patch("/v2/attributes/name/COLOR?attributeClass=user", description).await;
        assert_eq!((status, &answer["messages"], &answer["total"]), (200, &json!(["Attribute updated"]), &json!(1)), "{answer}");
        let data = &answer["data"];
        assert_eq!((&data["name"], &data["isSearchable"], &data["typeParam"]), (&json!("COLOR"), &json!(true), &json!("Green;Red;Blue")));
        assert_eq!(data["descriptions"][0]["value"], "Colour");
        let path = format!("/attributes/id/{id}");
        let (status, answer) = patch(&path, json!({"type": "text", "isHidden": true})).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(
            answer["messages"],
            json!(["Attribute updated", "Fields 'name', 'type' and 'class' are not updated.", "Not kept: isHidden."])
        );
        assert_eq!(answer["data"]["type"], "enum");
        let (status, answer) = patch(&path, json!({"typeParam": "Green;Blue"})).await;
        assert_eq!((status, &error_of(&answer)["code"]), (400, &json!(10017)), "somebody has this option: {answer}");

        let response = app.request(Method::DELETE, &path).send().await.unwrap();
        assert_eq!(response.text().await.unwrap(), "{\"data\":{},\"messages\":[\"Attribute deleted\"]}");
        for request in [app.request(Method::DELETE, &path), app.request(Method::GET, &path)] {
            let (status, answer) = json_of(request).await;
            assert_eq!((status.as_u16(), &error_of(&answer)["code"]), (404, &json!(14001)));
            assert_eq!(error_of(&answer)["messages"], json!([format!("Attribute with id [{id}] not found.")]));
        }
        assert_eq!(app.get(&values).await.1["itemsFound"], 1, "its values are shown no more");
        let (status, answer) = json_of(app.request(Method::DELETE, "/attributes/name/CITY")).await;
        assert_eq!((status.as_u16(), &error_of(&answer)["code"]), (400, &json!(10017)), "it came with the product");
        app.engine.verify().await.unwrap();
    })
    .await;
}
