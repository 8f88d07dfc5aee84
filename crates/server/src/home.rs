//! Where a Muster keeps its things: the data folder, its database and its staging area; and who may be at home.
//!
//! Two locks lie in the data folder, held for as long as a process lives and free after any death:
//!
//! * `serve.lock`: one process serves a folder whose database is SQLite; a second is refused.
//! * `staging.lock`: shared by all who write to the staging area. Whoever could have it alone when it starts knows that
//!   nothing unfinished belongs to anybody alive, and sweeps.

use crate::cli::failure::{Failure, Result};
use crate::config::Global;
use muster_engine::{Clock, Engine, EngineError, Faults, Limits, Staging, Store};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

/// Where a Muster keeps its things.
#[derive(Clone, Debug)]
pub struct Home {
    folder: PathBuf,
    database: Database,
    staging: PathBuf,
}

#[derive(Clone, Debug)]
enum Database {
    Sqlite(PathBuf),
    Postgres(String),
}

/// What a process holds while it works at home.
#[derive(Debug)]
pub struct Stay {
    _serving: Option<File>,
    staging: Option<File>,
    /// Whether nobody else is at home; others wait until [`Self::settle`].
    alone: bool,
}

impl Stay {
    /// Sweeps the staging area if nobody else can have anything there, and lets others in.
    pub async fn settle(&mut self, engine: &Engine) -> Result<()> {
        if let Some(lock) = self.staging.as_ref().filter(|_| self.alone) {
            engine.sweep().await?;
            lock.unlock()?;
            lock.lock_shared()?;
        }
        self.alone = false;
        Ok(())
    }
}

impl Home {
    /// The home that the settings name.
    pub fn new(global: &Global, default_folder: &str) -> Result<Self> {
        let folder = global.data_dir.clone().unwrap_or_else(|| default_folder.into());
        let database = match global.database_url.as_deref() {
            None | Some("") => Database::Sqlite(folder.join("muster.db")),
            Some(url) if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                Database::Postgres(url.to_owned())
            }
            Some(_) => {
                let failure = Failure::new("--database-url is not an address that begins with postgres://");
                return Err(failure.hint("leave it out to use SQLite in the data folder"));
            }
        };
        let staging = match global.staging_url.as_deref() {
            None | Some("") => folder.clone(),
            Some(url) => staging_folder(url)?,
        };
        Ok(Self { folder, database, staging })
    }

    /// The data folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Opens the database and the staging area, making the folders where there are none.
    pub fn open(&self, faults: Faults, limits: Limits) -> Result<Engine> {
        make_folder(&self.folder)?;
        make_folder(&self.staging)?;
        let store = match &self.database {
            Database::Sqlite(path) => Store::open_sqlite(path)
                .map_err(|error| Failure::caused(format!("{} cannot be opened", path.display()), &error)),
            Database::Postgres(url) => {
                Store::open_postgres(url).map_err(|error| Failure::caused("--database-url", &error))
            }
        }?;
        let staging = Staging::open(&self.staging)?;
        Ok(Engine::new(store, staging, Clock::system(), faults, limits))
    }

    /// Opens what is there, for commands that make no sense on nothing.
    pub fn open_existing(&self) -> Result<Engine> {
        self.check_existing()?;
        self.open(Faults::none(), Limits::default())
    }

    /// Refuses where there is no database yet.
    pub fn check_existing(&self) -> Result<()> {
        match &self.database {
            Database::Sqlite(path) if !path.exists() => {
                let failure = Failure::new(format!("There is no database in {}.", self.folder.display()));
                Err(failure
                    .hint("name the folder with --data-dir, or make a community first: muster community create NAME"))
            }
            Database::Sqlite(_) | Database::Postgres(_) => Ok(()),
        }
    }

    /// Moves in to serve. Refused where another process serves a SQLite database here.
    pub fn serve(&self) -> Result<Stay> {
        make_folder(&self.folder)?;
        let serving = match &self.database {
            Database::Postgres(_) => None,
            Database::Sqlite(_) => Some(lock_alone(&self.folder)?),
        };
        self.stay(serving)
    }

    /// Moves in to work beside others.
    pub fn work(&self) -> Result<Stay> {
        make_folder(&self.folder)?;
        self.stay(None)
    }

    /// Takes the lock on the staging area: alone if nobody else is there, else shared.
    ///
    /// On PostgreSQL processes of other machines may write to the same folder, and not every shared file system shows
    /// their locks: there nobody locks and nobody sweeps.
    fn stay(&self, serving: Option<File>) -> Result<Stay> {
        if matches!(self.database, Database::Postgres(_)) {
            return Ok(Stay { _serving: serving, staging: None, alone: false });
        }
        make_folder(&self.staging)?;
        let lock = open_lock(&self.staging.join("staging.lock"))?;
        let alone = lock.try_lock().is_ok();
        if !alone {
            lock.lock_shared()?;
        }
        Ok(Stay { _serving: serving, staging: Some(lock), alone })
    }
}

/// Opens a home for an administrator's command: the schema is made where it is missing.
pub async fn administer(engine: Engine) -> Result<Engine> {
    if !current(&engine).await? {
        migrate(&engine).await?;
    }
    Ok(engine)
}

/// Whether the schema is the one that this program works with.
pub async fn current(engine: &Engine) -> Result<bool> {
    let current = engine.store().schema_is_current().await;
    Ok(current.map_err(EngineError::from)?)
}

/// Brings the schema up to date, with the built-in fields of every community, and says which migrations were run.
pub async fn migrate(engine: &Engine) -> Result<Vec<&'static str>> {
    let run = engine.store().migrate().await.map_err(EngineError::from)?;
    engine.add_built_in_fields().await?;
    Ok(run)
}

fn staging_folder(url: &str) -> Result<PathBuf> {
    match url.split_once("://") {
        None => Ok(url.into()),
        Some(("file", path)) if path.starts_with('/') => Ok(path.into()),
        Some((scheme, _)) => {
            let sentence = format!("--staging-url cannot be a {scheme}:// address yet.");
            Err(Failure::new(sentence).hint("name a folder that every process sees, as a path or as file:///path"))
        }
    }
}

/// Makes a folder that only its owner can look into: it will hold personal data.
fn make_folder(folder: &Path) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(folder)
        .map_err(|error| Failure::caused(format!("The folder {} cannot be made", folder.display()), &error))
}

fn open_lock(path: &Path) -> Result<File> {
    let opened = OpenOptions::new().create(true).write(true).truncate(false).open(path);
    opened.map_err(|error| Failure::caused(format!("{} cannot be opened", path.display()), &error))
}

fn lock_alone(folder: &Path) -> Result<File> {
    let lock = open_lock(&folder.join("serve.lock"))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            let sentence = format!("Another muster serves {} already.", folder.display());
            let hint = "stop it first, or give this one another --data-dir; with PostgreSQL any number can serve";
            Err(Failure::new(sentence).hint(hint))
        }
        Err(TryLockError::Error(error)) => {
            Err(Failure::caused(format!("{} cannot be locked", folder.display()), &error))
        }
    }
}
