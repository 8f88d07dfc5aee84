//! The staging area: inputs, prepared rows and outcomes of jobs, as files in a folder that every process of a Muster
//! sees.
//!
//! An object appears under its name only when it is complete and on the disk; from then on it never changes, but for an
//! erasure, which replaces it as a whole. A file that
//! is being written lies under `incoming` and goes when its writer goes, or at the next start.

use crate::error::Result;
use muster_core::id::Tenant;
use muster_store::JobRef;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

/// The staging area.
#[derive(Clone, Debug)]
pub struct Staging {
    root: PathBuf,
}

impl Staging {
    /// Opens the area in a folder, making it where there is none.
    pub fn open(root: &Path) -> Result<Self> {
        fs::create_dir_all(root.join("incoming"))?;
        fs::create_dir_all(root.join("workers"))?;
        Ok(Self { root: root.to_owned() })
    }

    /// Whether the area can be written to.
    pub fn check(&self) -> Result<()> {
        tempfile::tempfile_in(self.root.join("incoming"))?;
        Ok(())
    }

    /// Begins an object. It is not there until [`Incoming::publish`].
    pub(crate) fn create(&self) -> Result<Incoming> {
        let file = tempfile::Builder::new().prefix("part-").tempfile_in(self.root.join("incoming"))?;
        Ok(Incoming { file: BufWriter::with_capacity(256 << 10, file), bytes: 0 })
    }

    /// A file without a name, for what does not fit memory. It is gone when it is closed, whatever happens.
    pub(crate) fn scratch(&self) -> io::Result<File> {
        tempfile::tempfile_in(self.root.join("incoming"))
    }

    /// Opens an object for reading, from this position on.
    pub(crate) fn read(&self, name: &str, from: u64) -> io::Result<BufReader<File>> {
        let mut file = File::open(self.root.join(name))?;
        if from > 0 {
            file.seek(io::SeekFrom::Start(from))?;
        }
        Ok(BufReader::with_capacity(256 << 10, file))
    }

    /// Whether there is such an object.
    pub(crate) fn exists(&self, name: &str) -> bool {
        self.root.join(name).exists()
    }

    /// Gives an object a second name; each lives as long as it is needed. False where there is no such object.
    pub(crate) fn link(&self, name: &str, other: &str) -> Result<bool> {
        let path = self.root.join(other);
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder)?;
        match fs::hard_link(self.root.join(name), &path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => other?,
        }
        self.make_durable(folder)?;
        Ok(true)
    }

    /// The names in a folder are durable when the folder is, and the folder when the one that holds it is.
    fn make_durable(&self, folder: &Path) -> io::Result<()> {
        let folders = folder.ancestors().take_while(|folder| folder.starts_with(&self.root));
        folders.into_iter().try_for_each(|folder| File::open(folder)?.sync_all())
    }

    /// Removes an object. One that is not there is removed already.
    pub(crate) fn remove(&self, name: &str) {
        let path = self.root.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, object = name, "an object of the staging area could not be removed");
            }
            // The folder of the job goes with its last object.
            _ => drop(path.parent().map(fs::remove_dir)),
        }
    }

    /// Removes every object in a folder that is not to be kept.
    pub(crate) fn keep_only(&self, folder: &str, kept: impl Fn(&str) -> bool) -> Result<()> {
        for path in entries(&self.root.join(folder))? {
            let name = format!("{folder}/{}", path.file_name().unwrap_or_default().to_string_lossy());
            if !kept(&name) {
                self.remove(&name);
            }
        }
        Ok(())
    }

    /// The jobs that have objects here.
    pub(crate) fn list_jobs(&self) -> Result<Vec<JobRef>> {
        let mut jobs = Vec::new();
        for tenant in entries(&self.root.join("jobs"))? {
            for job in entries(&tenant)? {
                let name = |path: &Path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
                let number = name(&tenant).and_then(|name| name.parse().ok());
                let id = name(&job).and_then(|name| name.parse().ok());
                jobs.extend(number.zip(id).map(|(number, id)| JobRef { tenant: Tenant(number), id }));
            }
        }
        Ok(jobs)
    }

    /// Removes what is being written. To be called only where no other process writes here.
    pub(crate) fn sweep(&self) -> Result<()> {
        for entry in fs::read_dir(self.root.join("incoming"))? {
            let path = entry?.path();
            fs::remove_file(path)?;
        }
        Ok(())
    }

    /// How many files are being written.
    pub fn count_incoming(&self) -> Result<usize> {
        Ok(fs::read_dir(self.root.join("incoming"))?.count())
    }

    /// Where workers keep the files by whose locks others know that they live.
    pub(crate) fn workers(&self) -> PathBuf {
        self.root.join("workers")
    }
}

/// What lies in a folder; nothing where it is not there.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.map(|entry| Ok(entry?.path())).collect(),
    }
}

/// An object that is being written. Dropped before it is published, it never was.
#[derive(Debug)]
pub(crate) struct Incoming {
    file: BufWriter<tempfile::NamedTempFile>,
    bytes: u64,
}

impl Incoming {
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Opens what was written so far for reading, from its beginning.
    pub(crate) fn reopen(&mut self) -> io::Result<File> {
        self.file.flush()?;
        self.file.get_ref().reopen()
    }

    /// Makes the object durable under its name: first its bytes, then its name.
    pub(crate) fn publish(self, staging: &Staging, name: &str) -> Result<()> {
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.as_file().sync_all()?;
        let path = staging.root.join(name);
        let folder = path.parent().unwrap_or(&staging.root);
        fs::create_dir_all(folder)?;
        file.persist(&path).map_err(|error| error.error)?;
        Ok(staging.make_durable(folder)?)
    }
}

impl Write for Incoming {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
