use crate::read;
use muster_core::Code;
use muster_core::filter::{MAX_CONDITIONS, MAX_DEPTH, MAX_IN};

fn assert_refused(text: &str, code: Code, pointer: &str) {
    let shown = &text[..text.len().min(200)];
    let error = read(text).expect_err(shown);
    let found = error.errors.first().and_then(|fault| fault.pointer.as_deref());
    assert_eq!((error.code, found), (code, Some(pointer)), "{shown}: {error}");
}

#[test]
fn what_is_wrong_is_refused_with_its_place() {
    for (text, code, pointer) in [
        ("[]", Code::InvalidFilter, "/filter"),
        ("null", Code::InvalidFilter, "/filter"),
        (r#""city""#, Code::InvalidFilter, "/filter"),
        (r#"{"town":"Rome"}"#, Code::UnknownField, "/filter/town"),
        (r#"{"City":"Rome"}"#, Code::UnknownField, "/filter/City"),
        (r#"{"a/b~":1}"#, Code::UnknownField, "/filter/a~1b~0"),
        (r#"{"city":{"like":"R"}}"#, Code::InvalidFilter, "/filter/city/like"),
        (r#"{"city":{"EQ":"R"}}"#, Code::InvalidFilter, "/filter/city/EQ"),
        (r#"{"city":{}}"#, Code::InvalidFilter, "/filter/city"),
        (r#"{"city":7}"#, Code::InvalidFilter, "/filter/city"),
        (r#"{"city":["Rome"]}"#, Code::InvalidFilter, "/filter/city"),
        (r#"{"city":{"in":"Rome"}}"#, Code::InvalidFilter, "/filter/city/in"),
        (r#"{"city":{"in":["Rome",7]}}"#, Code::InvalidFilter, "/filter/city/in/1"),
        (r#"{"city":{"contains":null}}"#, Code::InvalidFilter, "/filter/city/contains"),
        (r#"{"city":{"is_set":"yes"}}"#, Code::InvalidFilter, "/filter/city/is_set"),
        (r#"{"city":"a\u0000b"}"#, Code::NulCharacter, "/filter/city"),
        (r#"{"email":"\u0000"}"#, Code::NulCharacter, "/filter/email"),
        (r#"{"points":"ten"}"#, Code::InvalidNumber, "/filter/points"),
        (r#"{"points":1e3}"#, Code::InvalidNumber, "/filter/points"),
        (r#"{"points":true}"#, Code::InvalidNumber, "/filter/points"),
        (r#"{"points":{"gt":0.0000000000001}}"#, Code::OutOfRange, "/filter/points/gt"),
        (r#"{"points":{"gt":null}}"#, Code::InvalidNumber, "/filter/points/gt"),
        (r#"{"points":{"contains":1}}"#, Code::InvalidFilter, "/filter/points/contains"),
        (r#"{"subscribed":{"gt":false}}"#, Code::InvalidFilter, "/filter/subscribed/gt"),
        (r#"{"subscribed":"perhaps"}"#, Code::InvalidBoolean, "/filter/subscribed"),
        (r#"{"born":"17.5.1990"}"#, Code::InvalidDate, "/filter/born"),
        (r#"{"seen":"2024-01-01"}"#, Code::InvalidDatetime, "/filter/seen"),
        (r#"{"created_at":17}"#, Code::InvalidDatetime, "/filter/created_at"),
        (r#"{"tier":"d"}"#, Code::InvalidOption, "/filter/tier"),
        (r#"{"tier":{"starts_with":"a"}}"#, Code::InvalidFilter, "/filter/tier/starts_with"),
        (r#"{"tags":{"contains":"d"}}"#, Code::InvalidOption, "/filter/tags/contains"),
        (r#"{"tags":{"contains":["a"]}}"#, Code::InvalidFilter, "/filter/tags/contains"),
        (r#"{"tags":{"gt":"a"}}"#, Code::InvalidFilter, "/filter/tags/gt"),
        (r#"{"extra":{"a":1}}"#, Code::InvalidFilter, "/filter/extra/a"),
        (r#"{"extra":{"contains":"x"}}"#, Code::InvalidFilter, "/filter/extra/contains"),
        (r#"{"id":"x"}"#, Code::InvalidNumber, "/filter/id"),
        (r#"{"all":false}"#, Code::InvalidFilter, "/filter/all"),
        (r#"{"and":[]}"#, Code::InvalidFilter, "/filter/and"),
        (r#"{"and":{"city":"Rome"}}"#, Code::InvalidFilter, "/filter/and"),
        (r#"{"or":[{"city":"Rome"},{}]}"#, Code::InvalidFilter, "/filter/or/1"),
        (r#"{"not":{}}"#, Code::InvalidFilter, "/filter/not"),
        (r#"{"not":[]}"#, Code::InvalidFilter, "/filter/not"),
        (r#"{"points":{"gt":1},"points":{"lt":5}}"#, Code::InvalidRequest, "/filter/points"),
        (r#"{"points":{"gt":1,"gt":5}}"#, Code::InvalidRequest, "/filter/points/gt"),
    ] {
        assert_refused(text, code, pointer);
    }
}

#[test]
fn a_key_that_is_written_like_another_is_hinted_at() {
    assert!(read(r#"{"City":"Rome"}"#).unwrap_err().detail.contains("do you mean \"city\"?"));
}

#[test]
fn filters_are_limited_in_depth_and_size() {
    let nested = |depth: usize| format!("{}{}{}", "{\"not\":".repeat(depth), r#"{"id":1}"#, "}".repeat(depth));
    assert!(read(&nested(MAX_DEPTH - 1)).is_ok());
    assert_refused(&nested(MAX_DEPTH), Code::InvalidFilter, &format!("/filter{}", "/not".repeat(MAX_DEPTH)));

    let conditions = |count: usize| format!("{{\"or\":[{}]}}", vec![r#"{"id":1}"#; count].join(","));
    assert!(read(&conditions(MAX_CONDITIONS)).is_ok());
    assert_refused(&conditions(MAX_CONDITIONS + 1), Code::InvalidFilter, &format!("/filter/or/{MAX_CONDITIONS}/id"));

    let listed = |count: usize| format!("{{\"id\":{{\"in\":[{}]}}}}", vec!["1"; count].join(","));
    assert!(read(&listed(MAX_IN)).is_ok());
    assert_refused(&listed(MAX_IN + 1), Code::InvalidFilter, "/filter/id/in");
}
