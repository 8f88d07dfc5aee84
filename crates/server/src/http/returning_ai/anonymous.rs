//! A file from somebody without a key. Its parts may come in any order, and the product's own sample names the community last.

use super::bulk::{COMMUNITY_PART, FILE_PART, check_form, set_log_name};
use crate::http::App;
use crate::http::failure::Failure;
use crate::http::limits::ClientAddress;
use crate::http::upload::{Form, invalid_option, text};
use axum::extract::Request;
use muster_core::Code;
use muster_core::error::excerpt;
use muster_engine::{AnonymousFile, Caller, Engine, EngineError, Job, NewJob};
use std::collections::BTreeSet;

/// What was sent so far.
struct Parts {
    new: NewJob,
    given: BTreeSet<String>,
    caller: Option<Caller>,
    file: Option<AnonymousFile>,
}

/// Receives the file, if the community lets such people import. `new` says what is true of every file here.
pub(super) async fn receive(app: &App, from: ClientAddress, new: NewJob, request: Request) -> Result<Job, Failure> {
    app.engine.check_any_open().await?;
    app.limits.anonymous_file(from)?;
    check_form(&request)?;
    let mut parts = Parts { new, given: BTreeSet::new(), caller: None, file: None };
    parts.read(&app.engine, request).await?;
    let caller = match parts.caller {
        Some(caller) => caller,
        // Answered like a community that does not exist.
        None => app.engine.anonymous("").await?,
    };
    let Some(file) = parts.file else {
        let detail = format!("The form has no part {FILE_PART}, which would be the file.");
        return Err(Failure::new(Code::NoFile, detail));
    };
    let new = parts.new;
    let submitted = tokio::spawn(async move { file.submit(&caller, new).await }).await;
    Ok(submitted.map_err(EngineError::from)??)
}

impl Parts {
    async fn read(&mut self, engine: &Engine, request: Request) -> Result<(), Failure> {
        let mut form = Form::new(request).await?;
        while let Some(mut part) = form.next().await? {
            let name = part.name().to_owned();
            if !self.given.insert(name.clone()) {
                return Err(invalid_option(&name, format!("{} is given more than once", excerpt(&name))).into());
            }
            match name.as_str() {
                COMMUNITY_PART => self.caller = Some(engine.anonymous(&text(&name, part).await?).await?),
                FILE_PART => {
                    part.describe(&mut self.new);
                    let mut file = engine.receive_anonymous()?;
                    while let Some(bytes) = part.chunk().await? {
                        file.write(&bytes)?;
                    }
                    self.file = Some(file);
                }
                _ => set_log_name(&mut self.new, &name, &text(&name, part).await?)?,
            }
        }
        Ok(())
    }
}
