//! What is submitted: files that touch everybody several times, in another order each time.

use std::fmt::Write;

/// So many users with points and a balance.
pub fn people(users: usize) -> String {
    let mut text = String::from("email,first_name,points,premium_currency\n");
    (0..users).for_each(|i| writeln!(text, "user{i}@example.org,Name {i},{i},100").expect("memory"));
    text
}

/// So many rows that go through the users out of order, again and again: sums, overwritten and cleared values, balances
/// that do not suffice, a few users who are new, and rows that are broken in every way.
///
/// What a row does depends on those before it, so a row that is applied twice, left out or put elsewhere shows.
pub fn changes(users: usize, rows: usize) -> String {
    let mut text = String::from("email,first_name,points,points_op,premium_currency,premium_currency_op\n");
    for row in 0..rows {
        let user = row * 1_237 % (users + users / 20);
        let (operator, amount) = [("add", 5), ("subtract", 60), ("overwrite", 90), ("subtract", 7)][row * 7 / 3 % 4];
        let name = [String::new(), format!("Row {row}"), "\\N".to_owned()][row % 3].clone();
        let email = format!("USER{user}@example.org");
        let line = match row % 97 {
            3 => format!("{email},{name},many,add,{amount},{operator}"),
            11 => format!("{email},{name},1,multiply,{amount},{operator}"),
            23 => format!("nobody,{name},1,add,{amount},{operator}"),
            41 => format!("{email},{name}"),
            59 => format!("{email},{name},1,add,12.345.6,{operator}"),
            _ => format!("{email},{name},{},add,{amount},{operator}", row % 10),
        };
        writeln!(text, "{line}").expect("memory");
    }
    text
}
