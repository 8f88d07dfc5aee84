//! The rows of generated files: who somebody is, and what happens to them.

use super::places::{Name, PLACES, Place};
use super::random::Chance;
use clap::ValueEnum;
use std::io::Write;

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// People, for `muster import`
    Import,
    /// Changes of the same people in another order, for `muster update`
    Update,
    /// Changes of the premium currency, in another order
    Currency,
}

/// What a file is made of.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// What it is for.
    pub kind: Kind,
    /// With the custom fields that the quickstart makes.
    pub custom: bool,
    /// What everything depends on.
    pub seed: u64,
}

/// What is wrong with a row that is to be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    UnknownUser,
    BadEmail,
    NoEmail,
    BadNumber,
    BadOperator,
    LonelyOperator,
    TooPoor,
    BadDate,
    BadOption,
    MissingCell,
}

const TIERS: &[&str] = &["Bronze", "Silver", "Gold", "Platinum"];

/// Streams of chance: what a person is does not depend on what is asked about them.
const PERSON: u64 = 1;
const CHANGE: u64 = 2;

/// Somebody.
struct Person {
    place: &'static Place,
    given: Name,
    family: Name,
    number: u64,
    chance: Chance,
}

impl Person {
    fn new(seed: u64, number: u64) -> Self {
        let mut chance = Chance::new(seed, PERSON, number);
        let place = &PLACES[chance.below(PLACES.len() as u64) as usize];
        Self { place, given: chance.pick(&place.given), family: chance.pick(&place.family), number, chance }
    }

    fn email(&self) -> String {
        format!("{}.{}.{}@example.com", self.given.ascii, self.family.ascii, self.number + 1)
    }
}

impl Plan {
    /// The names of the columns.
    pub fn header(&self) -> String {
        let columns = match self.kind {
            Kind::Import => {
                "Email,First Name,Last Name,City,Country,Language,Date of Birth,Phone,Premium Currency,In-game Currency"
            }
            Kind::Update => "Email,City,Premium Currency,Premium Currency_op,In-game Currency,In-game Currency_op",
            Kind::Currency => "Email,Premium Currency,Premium Currency_op",
        };
        let custom = match (self.custom, self.kind) {
            (false, _) | (true, Kind::Currency) => "",
            (true, Kind::Import) => ",Points,Rating,Tier,Member Since",
            (true, Kind::Update) => ",Points,Points_op,Rating,Rating_op,Tier,Member Since",
        };
        format!("{columns}{custom}")
    }

    /// The email of a person.
    pub fn email(&self, number: u64) -> String {
        Person::new(self.seed, number).email()
    }

    /// What can be wrong with a row.
    fn faults(&self) -> &'static [Fault] {
        use Fault as F;
        match (self.kind, self.custom) {
            (Kind::Import, false) => &[F::BadDate, F::BadNumber, F::BadEmail, F::MissingCell, F::NoEmail],
            (Kind::Import, true) => &[F::BadDate, F::BadNumber, F::BadEmail, F::MissingCell, F::NoEmail, F::BadOption],
            (Kind::Currency, _) => &[F::UnknownUser, F::BadNumber, F::TooPoor, F::BadOperator, F::LonelyOperator],
            (Kind::Update, false) => {
                &[F::UnknownUser, F::BadNumber, F::TooPoor, F::BadOperator, F::MissingCell, F::LonelyOperator]
            }
            (Kind::Update, true) => &[
                F::UnknownUser,
                F::BadNumber,
                F::TooPoor,
                F::BadOperator,
                F::BadDate,
                F::BadOption,
                F::MissingCell,
                F::LonelyOperator,
            ],
        }
    }

    /// Writes the row of a person; `broken` counts the broken rows of the file, so that they take turns.
    pub fn write(&self, number: u64, broken: Option<u64>, out: &mut Vec<u8>) -> std::io::Result<()> {
        let faults = self.faults();
        let fault = broken.map(|turn| faults[(turn % faults.len() as u64) as usize]);
        let person = Person::new(self.seed, number);
        match fault {
            Some(Fault::NoEmail) => {}
            Some(Fault::BadEmail) => write!(out, "{}.{}", person.given.ascii, person.family.ascii)?,
            Some(Fault::UnknownUser) => write!(out, "nobody.{}@example.com", number + 1)?,
            _ => {
                for part in [person.given.ascii, ".", person.family.ascii, "."] {
                    out.extend_from_slice(part.as_bytes());
                }
                write!(out, "{}@example.com", number + 1)?;
            }
        }
        match self.kind {
            Kind::Import => self.write_person(person, fault, out)?,
            Kind::Update => self.write_change(person, fault, out)?,
            Kind::Currency => {
                let mut chance = Chance::new(self.seed, CHANGE, number);
                operation(&mut chance, Amount::Cents, fault, out)?;
            }
        }
        out.push(b'\n');
        Ok(())
    }

    fn write_person(&self, mut person: Person, fault: Option<Fault>, out: &mut Vec<u8>) -> std::io::Result<()> {
        let place = person.place;
        let city = person.chance.pick(&place.cities);
        for text in [person.given.text, person.family.text, city, place.country, place.language] {
            cell(text, out);
        }
        let chance = &mut person.chance;
        match fault {
            Some(Fault::BadDate) => out.extend_from_slice(b",1990-02-30"),
            _ => date(chance, 1950, 58, out)?,
        }
        write!(out, ",{}{:07}", place.dial, chance.below(10_000_000))?;
        match fault {
            Some(Fault::BadNumber) => write!(out, ",\"{},50\"", 500 + chance.below(9_500))?,
            _ => write!(out, ",{}.{:02}", 500 + chance.below(9_500), chance.below(100))?,
        }
        if fault != Some(Fault::MissingCell) {
            write!(out, ",{}", 1_000 + chance.below(99_000))?;
        }
        if self.custom {
            write!(out, ",{},{}.{}", 1_000 + chance.below(9_000), 1 + chance.below(4), chance.below(10))?;
            tier(chance, fault, out);
            date(chance, 2015, 10, out)?;
        }
        Ok(())
    }

    fn write_change(&self, person: Person, fault: Option<Fault>, out: &mut Vec<u8>) -> std::io::Result<()> {
        let mut chance = Chance::new(self.seed, CHANGE, person.number);
        // One in four moves, within the country; an empty cell keeps the value.
        let city = chance.pick(&person.place.cities);
        match (fault, chance.below(4)) {
            (Some(Fault::MissingCell), _) => {}
            (_, 0) => cell(city, out),
            _ => out.push(b','),
        }
        operation(&mut chance, Amount::Cents, fault, out)?;
        operation(&mut chance, Amount::Whole, None, out)?;
        if self.custom {
            operation(&mut chance, Amount::Whole, None, out)?;
            operation(&mut chance, Amount::Tenth, None, out)?;
            tier(&mut chance, fault, out);
            match (fault, chance.below(8)) {
                (Some(Fault::BadDate), _) => out.extend_from_slice(b",31.12.2024"),
                (_, 0) => date(&mut chance, 2015, 10, out)?,
                _ => out.push(b','),
            }
        }
        Ok(())
    }
}

/// How an amount is written.
#[derive(Clone, Copy)]
enum Amount {
    Cents,
    Tenth,
    Whole,
}

impl Amount {
    /// Writes what is added or taken away: little enough that balances mostly suffice.
    fn write_step(self, chance: &mut Chance, out: &mut Vec<u8>) -> std::io::Result<()> {
        match self {
            Self::Cents => write!(out, "{}.{:02}", 1 + chance.below(400), chance.below(100)),
            Self::Tenth => write!(out, "0.{}", 1 + chance.below(9)),
            Self::Whole => write!(out, "{}", 1 + chance.below(400)),
        }
    }

    /// Writes what replaces the old value.
    fn write_whole(self, chance: &mut Chance, out: &mut Vec<u8>) -> std::io::Result<()> {
        match self {
            Self::Cents => write!(out, "{}.{:02}", 500 + chance.below(9_500), chance.below(100)),
            Self::Tenth => write!(out, "{}.{}", 1 + chance.below(4), chance.below(10)),
            Self::Whole => write!(out, "{}", 1_000 + chance.below(9_000)),
        }
    }
}

/// A number and its operator: half of them add, the others take away or replace.
fn operation(chance: &mut Chance, amount: Amount, fault: Option<Fault>, out: &mut Vec<u8>) -> std::io::Result<()> {
    out.push(b',');
    match fault {
        Some(Fault::BadNumber) => write!(out, "\"{},50\",add", 1 + chance.below(400)),
        Some(Fault::TooPoor) => write!(out, "{},subtract", 1_000_000 + chance.below(9_000_000)),
        Some(Fault::BadOperator) => write!(out, "{},plus", 1 + chance.below(400)),
        Some(Fault::LonelyOperator) => write!(out, ",add"),
        _ => {
            let operator = match chance.below(10) {
                0..5 => ",add",
                5..8 => ",subtract",
                _ => ",overwrite",
            };
            match operator {
                ",overwrite" => amount.write_whole(chance, out)?,
                _ => amount.write_step(chance, out)?,
            }
            out.extend_from_slice(operator.as_bytes());
            Ok(())
        }
    }
}

fn tier(chance: &mut Chance, fault: Option<Fault>, out: &mut Vec<u8>) {
    let tier = chance.pick(TIERS);
    cell(if fault == Some(Fault::BadOption) { "Diamond" } else { tier }, out);
}

fn date(chance: &mut Chance, first_year: u64, years: u64, out: &mut Vec<u8>) -> std::io::Result<()> {
    let (year, month, day) = (first_year + chance.below(years), 1 + chance.below(12), 1 + chance.below(28));
    write!(out, ",{year}-{month:02}-{day:02}")
}

/// A cell of text; none here needs quotes.
fn cell(text: &str, out: &mut Vec<u8>) {
    out.push(b',');
    out.extend_from_slice(text.as_bytes());
}
