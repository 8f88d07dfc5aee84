//! Never a second connection with one in hand. There are only so many, and nobody waits for one only for a while: as many
//! tasks as there are connections, each holding one and waiting for another, wait for each other for ever. On SQLite the one
//! writer would also keep everybody from writing for as long as it waits for a reader.
//!
//! Whoever needs to read inside of a transaction reads through it. Tests refuse a task that does not: see [`Held::new`].

/// That a task has a connection.
#[derive(Debug)]
pub(crate) struct Held {
    #[cfg(feature = "testing")]
    task: Option<tokio::task::Id>,
}

#[cfg(not(feature = "testing"))]
impl Held {
    pub(crate) fn new() -> Self {
        Self {}
    }
}

#[cfg(feature = "testing")]
mod watched {
    use super::Held;
    use std::collections::HashSet;
    use std::sync::{LazyLock, Mutex, PoisonError};
    use tokio::task::Id;

    static HOLDERS: LazyLock<Mutex<HashSet<Id>>> = LazyLock::new(Mutex::default);

    impl Held {
        /// To be called before a connection is waited for. Panics in tests where the task has one already; what a test itself
        /// holds is its own affair, it is no task.
        pub(crate) fn new() -> Self {
            let task = tokio::task::try_id();
            let is_first = task.is_none_or(|task| HOLDERS.lock().unwrap_or_else(PoisonError::into_inner).insert(task));
            assert!(is_first, "a task takes a second connection with one in hand; see Store::read");
            Self { task }
        }
    }

    impl Drop for Held {
        fn drop(&mut self) {
            if let Some(task) = &self.task {
                HOLDERS.lock().unwrap_or_else(PoisonError::into_inner).remove(task);
            }
        }
    }
}
