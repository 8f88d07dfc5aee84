//! Files on their way in, as the body itself or as a part of a form. They stream: nothing here holds a file.

use super::extract::{collect, cut_off};
use super::failure::Failure;
use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use futures_util::{StreamExt, stream};
use muster_core::error::{Fault, excerpt};
use muster_core::intake::sniff::Format;
use muster_core::{Code, Error};
use muster_engine::{Caller, Engine, EngineError, Fingerprint, Job, NewJob, Upload};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, ready};

/// The most bytes of a form part that is not the file.
const TEXT_BYTES: usize = 1 << 20;

/// The most bytes that the parser of a form may keep.
const KEPT_BYTES: usize = 1 << 20;

/// What a face wants to know about a job beside its file.
pub struct Door {
    /// The part of a form that is the file.
    pub file_part: &'static str,
    /// Takes one option by its name and text.
    pub set: fn(&mut NewJob, &str, &str) -> Result<(), Error>,
    /// The option that says the kind, at a door that takes several.
    pub kind_option: Option<&'static str>,
    /// The most bytes of a change by filter, at a door where a JSON object is one and no file.
    pub command_bytes: Option<usize>,
    /// The part that names the community, at a door that takes one.
    pub community_part: Option<&'static str>,
}

/// A job while it is described, by query parameters and form parts in any order, each once.
pub struct Description {
    door: Door,
    new: NewJob,
    given: BTreeSet<String>,
}

impl Description {
    /// A job of which nothing was said.
    pub fn new(door: Door, new: NewJob) -> Self {
        Self { door, new, given: BTreeSet::new() }
    }

    /// Takes one option. Refuses with `invalid_option`, and with `not_found` a community that is not the caller's.
    pub fn set(&mut self, caller: &Caller, name: &str, text: &str) -> Result<(), Failure> {
        if !self.given.insert(name.to_owned()) {
            return Err(invalid_option(name, format!("{} is given more than once", excerpt(name))).into());
        }
        match self.door.community_part == Some(name) {
            true => Ok(caller.require_community(text)?),
            false => Ok((self.door.set)(&mut self.new, name, text)?),
        }
    }

    /// Receives the file of a request, raw or in a form, and makes the job.
    pub async fn receive(self, engine: &Engine, caller: &Caller, request: Request) -> Result<Job, Failure> {
        match is_form(request.headers()) {
            true => self.receive_form(engine, caller, request).await,
            false => self.receive_body(engine, caller, request).await,
        }
    }

    /// Receives the body as the file.
    async fn receive_body(mut self, engine: &Engine, caller: &Caller, request: Request) -> Result<Job, Failure> {
        check_content_encoding(request.headers())?;
        let content_type = header(request.headers(), CONTENT_TYPE);
        (self.new.charset, self.new.format) = (charset(content_type), Format::from_media_type(content_type));
        let announced = header(request.headers(), CONTENT_LENGTH).parse().unwrap_or(0);
        let mut body = request.into_body().into_data_stream();
        let mut first = Vec::new();
        if let Some(limit) = self.door.command_bytes.filter(|_| self.new.format == Some(Format::Json)) {
            first = first_bytes(&mut body).await?;
            // A file begins with a bracket, a command with a brace.
            if first.trim_ascii_start().first() == Some(&b'{') {
                let command = collect(&mut body, first, limit).await?;
                return Ok(engine.submit_command(caller, self.new, &command).await?);
            }
        }
        let mut upload = engine.submit(caller, self.new).await?;
        upload.check_room(announced)?;
        upload.write(&first)?;
        while let Some(bytes) = body.next().await {
            upload.write(&bytes.map_err(|_| cut_off())?)?;
        }
        finish(upload).await
    }

    /// Receives a form of which one part is the file.
    pub async fn receive_form(mut self, engine: &Engine, caller: &Caller, request: Request) -> Result<Job, Failure> {
        let mut form = Form::new(request).await?;
        let mut upload = None;
        while let Some(part) = form.next().await? {
            let name = part.name().to_owned();
            if name != self.door.file_part {
                self.check_is_no_file(&name, &part)?;
                let text = text(&name, part).await?;
                self.set(caller, &name, &text)?;
            } else if upload.is_none() {
                upload = Some(self.receive_part(engine, caller, part).await?);
            } else {
                let detail = format!("The form has more than one part {name}.");
                return Err(Failure::new(Code::InvalidRequest, detail));
            }
        }
        let Some(mut upload) = upload else {
            let detail = format!("The form has no part {}, which would be the file.", self.door.file_part);
            return Err(Failure::new(Code::NoFile, detail));
        };
        *upload.new_job() = self.new;
        finish(upload).await
    }

    async fn receive_part(&mut self, engine: &Engine, caller: &Caller, mut part: Part<'_>) -> Result<Upload, Failure> {
        part.describe(&mut self.new);
        let kind_may_follow = self.door.kind_option.is_some_and(|name| !self.given.contains(name));
        let mut upload = match kind_may_follow {
            true => engine.receive(caller, self.new.clone()).await?,
            false => engine.submit(caller, self.new.clone()).await?,
        };
        while let Some(bytes) = part.chunk().await? {
            upload.write(&bytes)?;
        }
        Ok(upload)
    }

    fn check_is_no_file(&self, name: &str, part: &Part<'_>) -> Result<(), Failure> {
        match part.field.file_name() {
            None => Ok(()),
            Some(_) => Err(Failure::new(
                Code::NoFile,
                format!("The file must be the part {}, not {}.", self.door.file_part, excerpt(name)),
            )),
        }
    }
}

/// The first bytes of a body that are not white space, with what is before and behind them.
async fn first_bytes(body: &mut BodyDataStream) -> Result<Vec<u8>, Failure> {
    let mut first = Vec::new();
    while first.iter().all(u8::is_ascii_whitespace)
        && first.len() <= TEXT_BYTES
        && let Some(bytes) = body.next().await
    {
        first.extend_from_slice(&bytes.map_err(|_| cut_off())?);
    }
    Ok(first)
}

/// Makes the job, also when whoever sent the file does not wait for the answer: what was begun here leaves either
/// nothing or a job that runs.
async fn finish(upload: Upload) -> Result<Job, Failure> {
    let finished = tokio::spawn(upload.finish()).await;
    Ok(finished.map_err(EngineError::from)??)
}

/// The text of a part that is not the file.
pub async fn text(name: &str, mut part: Part<'_>) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    while let Some(more) = part.chunk().await? {
        bytes.extend_from_slice(&more);
        if bytes.len() > TEXT_BYTES {
            let detail = format!("The part {} is larger than {TEXT_BYTES} bytes.", excerpt(name));
            return Err(Failure::new(Code::BodyTooLarge, detail));
        }
    }
    let text = String::from_utf8(bytes);
    Ok(text.map_err(|_| invalid_option(name, format!("{} is not UTF-8", excerpt(name))))?)
}

/// Refuses an option, naming it.
pub fn invalid_option(name: &str, message: String) -> Error {
    let fault =
        Fault { column: None, pointer: Some(format!("/{name}")), code: Code::InvalidOption, message: message.clone() };
    Error { errors: vec![fault], ..Error::new(Code::InvalidOption, message) }
}

/// Reads a form to its end for nothing but its fingerprint.
pub async fn drain_form(request: Request) -> Result<(), Failure> {
    let mut form = Form::new(request).await?;
    while let Some(mut part) = form.next().await? {
        while part.chunk().await?.is_some() {}
    }
    Ok(())
}

/// The parts of a form, one after the other.
pub struct Form {
    parts: Multipart,
    /// Takes what is read, where somebody wants to know the request again.
    fingerprint: Option<Fingerprint>,
    /// Bytes that came and that no part has given out. The parser keeps them until it understands them.
    kept: Arc<AtomicUsize>,
}

/// A part of a form.
pub struct Part<'a> {
    field: Field<'a>,
    kept: Arc<AtomicUsize>,
    fingerprint: Option<Fingerprint>,
}

impl Form {
    /// The parts of a request's body. Refuses what is no form.
    pub async fn new(request: Request) -> Result<Self, Failure> {
        let kept = Arc::new(AtomicUsize::new(0));
        let counter = kept.clone();
        let fingerprint = request.extensions().get::<Fingerprint>().cloned();
        let counted = request.map(|body| {
            let (mut body, mut gave) = (body.into_data_stream(), false);
            Body::from_stream(stream::poll_fn(move |context| {
                // The parser takes whatever there is before it gives anything out: one piece, then nothing for a moment.
                if std::mem::take(&mut gave) {
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                let piece = ready!(body.poll_next_unpin(context));
                gave = true;
                Poll::Ready(piece.map(|bytes| {
                    let bytes = bytes.map_err(|_| "the body ended before it was complete")?;
                    match counter.fetch_add(bytes.len(), Ordering::Relaxed) > KEPT_BYTES {
                        true => Err("the headers of a part have no end"),
                        false => Ok(bytes),
                    }
                }))
            }))
        });
        let parts = Multipart::from_request(counted, &()).await;
        let parts = parts.map_err(|_| malformed("its Content-Type names no boundary between the parts"))?;
        Ok(Self { parts, fingerprint, kept })
    }

    /// The next part.
    pub async fn next(&mut self) -> Result<Option<Part<'_>>, Failure> {
        let field = self.parts.next_field().await.map_err(unreadable)?;
        self.kept.store(0, Ordering::Relaxed);
        let (kept, fingerprint) = (self.kept.clone(), self.fingerprint.clone());
        if let (Some(fingerprint), Some(field)) = (&fingerprint, &field) {
            fingerprint.begin_part(field.name().unwrap_or_default());
        }
        Ok(field.map(|field| Part { field, kept, fingerprint }))
    }
}

impl Part<'_> {
    /// The name of the part.
    pub fn name(&self) -> &str {
        self.field.name().unwrap_or_default()
    }

    /// Tells a job what the part says about its file.
    pub fn describe(&self, new: &mut NewJob) {
        new.file_name = self.field.file_name().filter(|name| !name.is_empty()).map(str::to_owned);
        new.charset = self.field.content_type().and_then(charset);
        new.format = self.field.content_type().and_then(Format::from_media_type);
    }

    /// The next bytes of the part.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        let chunk = self.field.chunk().await.map_err(unreadable)?;
        self.kept.store(0, Ordering::Relaxed);
        if let (Some(fingerprint), Some(chunk)) = (&self.fingerprint, &chunk) {
            fingerprint.update(chunk);
        }
        Ok(chunk)
    }
}

fn unreadable(error: MultipartError) -> Failure {
    // The cause at the end of the chain, which says more than that there was one.
    let mut cause: &dyn std::error::Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    malformed(&cause.to_string())
}

fn malformed(why: &str) -> Failure {
    Failure::new(Code::InvalidRequest, format!("The form cannot be read: {why}."))
}

fn header(headers: &HeaderMap, name: axum::http::HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Whether the body is a form.
pub fn is_form(headers: &HeaderMap) -> bool {
    let content_type = header(headers, CONTENT_TYPE).split(';').next().unwrap_or_default();
    content_type.trim().eq_ignore_ascii_case("multipart/form-data")
}

/// The charset that a content type names.
fn charset(content_type: &str) -> Option<String> {
    let mut parameters = content_type.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let (_, charset) = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))?;
    Some(charset.trim().trim_matches('"').to_owned())
}

/// A file that is compressed is stored as it comes and known by its first bytes; other encodings of the body are refused.
fn check_content_encoding(headers: &HeaderMap) -> Result<(), Failure> {
    match header(headers, CONTENT_ENCODING).to_ascii_lowercase().as_str() {
        "" | "identity" | "gzip" | "x-gzip" | "zstd" => Ok(()),
        _ => Err(Failure::new(
            Code::UnsupportedMediaType,
            "The body may be compressed with gzip or zstd, with nothing else.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(pieces: impl Iterator<Item = Vec<u8>> + Send + 'static) -> Request {
        let body = Body::from_stream(stream::iter(pieces.map(Ok::<_, std::io::Error>)));
        let request = Request::builder().header(CONTENT_TYPE, "multipart/form-data; boundary=x");
        request.body(body).expect("it is a request")
    }

    #[tokio::test]
    async fn however_fast_a_file_comes_the_parser_keeps_little_of_it() {
        let head = b"--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n".to_vec();
        let file = std::iter::repeat_n(vec![b'a'; 1 << 16], 28);
        let mut form = Form::new(form([head].into_iter().chain(file).chain([b"\r\n--x--\r\n".to_vec()]))).await;
        let mut part = form.as_mut().expect("it is a form").next().await.expect("it is read").expect("it has a part");
        let (mut bytes, kept) = (0, part.kept.clone());
        while let Some(chunk) = part.chunk().await.expect("it is read to its end") {
            bytes += chunk.len();
            assert!(kept.load(Ordering::Relaxed) < KEPT_BYTES);
        }
        assert_eq!(bytes, 28 << 16);
    }

    #[tokio::test]
    async fn headers_without_an_end_are_refused() {
        let head = b"--x\r\nContent-Disposition: form-data; name=\"".to_vec();
        let mut form = Form::new(form([head].into_iter().chain(std::iter::repeat_n(vec![b'a'; 1 << 16], 1_000)))).await;
        let refused = form.as_mut().expect("it is a form").next().await.err().expect("it is refused");
        assert!(refused.error.detail.contains("headers of a part have no end"), "{}", refused.error.detail);
    }
}
