//! Why a command did not do its work, as sentences on stderr and an exit code.

use crate::cli::out::harmless;
use muster_engine::{EngineError, chain};
use std::fmt;
use std::io;

/// The exit code of a job of which some rows failed, and of a check that does not hold.
pub const EXIT_PARTLY: u8 = 1;
/// The exit code of what failed or was refused as a whole.
pub const EXIT_FAILED: u8 = 2;

/// The result of most functions of the command line.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// Why a command did not do its work.
#[derive(Debug)]
pub struct Failure {
    sentence: String,
    details: Vec<String>,
    hints: Vec<String>,
    exit: u8,
    unreachable: bool,
    lost: bool,
}

impl Failure {
    /// A failure of one sentence.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self {
            sentence: sentence.into(),
            details: Vec::new(),
            hints: Vec::new(),
            exit: EXIT_FAILED,
            unreachable: false,
            lost: false,
        }
    }

    /// A failure with every single reason, where there are several.
    pub fn listed(sentence: &str, reasons: impl IntoIterator<Item = String>) -> Self {
        let reasons: Vec<String> = reasons.into_iter().collect();
        match reasons.as_slice() {
            [] => Self::new(sentence),
            [one] if one == sentence => Self::new(sentence),
            [one] => Self::new(sentence).detail(one),
            several => {
                Self { details: several.to_vec(), ..Self::new(format!("Refused for {} reasons:", several.len())) }
            }
        }
    }

    /// A failure with its cause.
    pub fn caused(sentence: impl fmt::Display, cause: &(dyn std::error::Error + 'static)) -> Self {
        Self::new(format!("{sentence}: {}", chain(cause)))
    }

    /// An end without words: everything that is to be said was said, or nobody listens.
    pub fn quiet(exit: u8) -> Self {
        Self { exit, ..Self::new("") }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds a sentence to the list below the first.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.details.push(detail.into());
        self
    }

    /// Says that the same may work when it is tried again, because only the way to the server is missing.
    #[must_use]
    pub fn unreachable(self) -> Self {
        Self { unreachable: true, ..self }
    }

    /// Says that the way to the server went missing in the middle of a request, which may have been done all the same.
    #[must_use]
    pub fn lost(self) -> Self {
        Self { lost: true, ..self.unreachable() }
    }

    /// Whether nobody knows if the request was done.
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    /// Whether only the way to the server is missing.
    pub fn is_unreachable(&self) -> bool {
        self.unreachable
    }

    /// The code to exit with.
    pub fn exit(&self) -> u8 {
        self.exit
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.sentence.is_empty() {
            return Ok(());
        }
        // What a server or a file says may hold anything. Line breaks are ours.
        let safe = |text: &str| text.lines().map(harmless).collect::<Vec<_>>().join("\n");
        writeln!(f, "error: {}", safe(&self.sentence))?;
        for detail in &self.details {
            writeln!(f, "  - {}", safe(detail))?;
        }
        self.hints.iter().try_for_each(|hint| writeln!(f, "hint: {}", safe(hint)))
    }
}

/// The last cause of an error, which is what the machine said.
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

impl From<EngineError> for Failure {
    /// Whoever runs a command on the server's machine may know the cause.
    fn from(error: EngineError) -> Self {
        match &error {
            EngineError::Refused(refused) => {
                let entries = refused.errors.iter().map(|fault| fault.message.clone());
                Self::listed(&refused.detail, entries)
            }
            EngineError::Store(cause) if cause.is_transient() => {
                let sentence = format!("The database cannot be reached or is busy: {}.", innermost(cause));
                Self::new(sentence).hint("--database-url and MUSTER_DATABASE_URL say where it is")
            }
            _ => Self::new(chain(&error)),
        }
    }
}

impl From<io::Error> for Failure {
    /// A pipe that was closed at the other end, as by `head`, is no failure.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::quiet(0),
            _ => Self::new(chain(&error)),
        }
    }
}
