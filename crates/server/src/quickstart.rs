//! Trying Muster.

use crate::cli::{Failure, Result};
use crate::config::Global;
use clap::Args;

/// `muster quickstart`
#[derive(Args, Clone, Debug)]
pub struct QuickstartArgs {
    /// End when everything was shown, instead of serving on
    #[arg(long)]
    once: bool,
}

/// `muster quickstart`
pub async fn quickstart(_global: &Global, _args: &QuickstartArgs) -> Result<()> {
    Err(Failure::new("The quickstart is not there yet."))
}
