//! Sample files: people of many countries, and changes of the same people.
//!
//! A row depends on the seed and the number of its person alone, so `import` and `update` files of one seed fit together,
//! a file is the same wherever and whenever it is made, and nothing has to be remembered while it is written.

mod places;
mod random;
mod rows;

pub use rows::{Kind, Plan};

use crate::cli::{Failure, Result};
use clap::Args;
use random::Shuffled;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::str::FromStr;

/// How much is written at a time.
const BLOCK_BYTES: usize = 256 << 10;

/// `muster generate`
#[derive(Args, Clone, Debug)]
pub struct GenerateArgs {
    /// How many users, and rows
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    users: u64,
    /// What everything depends on: files of one seed are about the same users
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// What the file is for
    #[arg(long, value_enum, default_value = "import")]
    kind: Kind,
    /// How many rows are wrong in some way: a percentage such as 0.5%, or a number of rows
    #[arg(long, value_name = "PERCENT|COUNT", default_value = "0")]
    broken: Broken,
    /// With the custom fields of the quickstart: Points, Rating, Tier, Member Since
    #[arg(long)]
    custom: bool,
    /// Write to a file [default: stdout]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// How many rows are to be wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Broken {
    /// So many of a hundred.
    Percent(f64),
    /// So many.
    Count(u64),
}

impl FromStr for Broken {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let broken = match text.strip_suffix('%') {
            Some(percent) => percent.trim().parse().ok().map(Self::Percent),
            None => text.parse().ok().map(Self::Count),
        };
        let sane = |broken: &Self| match broken {
            Self::Percent(percent) => (0.0..=100.0).contains(percent),
            Self::Count(_) => true,
        };
        broken.filter(sane).ok_or("write a percentage such as 0.5%, or a number of rows")
    }
}

impl Broken {
    fn of(self, users: u64) -> u64 {
        match self {
            Self::Percent(percent) => (users as f64 * percent / 100.0).round() as u64,
            Self::Count(count) => count.min(users),
        }
    }
}

/// A whole file, written block by block.
#[derive(Debug)]
pub struct Rows {
    plan: Plan,
    users: u64,
    broken: u64,
    begun: bool,
    written: u64,
    order: Option<Shuffled>,
}

impl Rows {
    /// The rows of so many users, of which some are broken.
    pub fn new(plan: Plan, users: u64, broken: Broken) -> Self {
        Self {
            plan,
            users,
            broken: broken.of(users),
            begun: false,
            written: 0,
            order: (plan.kind != Kind::Import).then(|| Shuffled::new(users, plan.seed)),
        }
    }

    /// The names of the columns.
    pub fn header(&self) -> String {
        self.plan.header()
    }

    /// The email of somebody whom a row names that is not broken, if there is one: the first is broken only if all are.
    pub fn somebody(&self) -> String {
        let first = self.order.clone().and_then(|mut order| order.next());
        self.plan.email(first.unwrap_or_default())
    }

    /// The next block of the file, the header first; nothing at the end.
    pub fn next_block(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut block = Vec::with_capacity(BLOCK_BYTES + 1_024);
        if !std::mem::replace(&mut self.begun, true) {
            writeln!(block, "{}", self.plan.header())?;
        }
        while block.len() < BLOCK_BYTES && self.written < self.users {
            let row = self.written;
            let number = self.order.as_mut().and_then(Iterator::next).unwrap_or(row);
            self.plan.write(number, self.turn(row), &mut block)?;
            self.written += 1;
        }
        Ok((!block.is_empty()).then_some(block))
    }

    /// Which broken row this is, if it is one. They are spread evenly.
    fn turn(&self, row: u64) -> Option<u64> {
        let before = |row: u64| (u128::from(row) * u128::from(self.broken) / u128::from(self.users)) as u64;
        (before(row + 1) > before(row)).then(|| before(row))
    }
}

/// `muster generate`
pub fn generate(args: &GenerateArgs) -> Result<()> {
    let plan = Plan { kind: args.kind, custom: args.custom, seed: args.seed };
    let mut rows = Rows::new(plan, args.users, args.broken);
    let mut out: Box<dyn Write> = match &args.output {
        None => Box::new(io::stdout().lock()),
        Some(path) => Box::new(
            File::create(path)
                .map_err(|error| Failure::caused(format!("{} cannot be written", path.display()), &error))?,
        ),
    };
    while let Some(block) = rows.next_block()? {
        out.write_all(&block)?;
    }
    Ok(out.flush()?)
}
