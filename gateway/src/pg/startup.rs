//! From the first byte to the first ReadyForQuery.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use pgwire::messages::response::{GssEncResponse, SslResponse};
use pgwire::messages::startup::{Authentication, BackendKeyData, NegotiateProtocolVersion, Startup};
use pgwire::messages::{DecodeContext, Message, PgWireBackendMessage, ProtocolVersion};
use tokio::sync::OwnedSemaphorePermit;

use super::EnvironmentBackend;
use super::cancel::{CancelHandle, new_secret};
use super::connection::{Input, Output};
use super::listener::Shared;
use super::session::Session;
use super::settings::Settings;
use super::sqlstate::{CANNOT_CONNECT_NOW, Halt, INVALID_AUTHORIZATION, PgError, TOO_MANY_CONNECTIONS, UNKNOWN_DATABASE, UNSUPPORTED};
use crate::roles::Role;

/// PostgreSQL's own bound on what an unknown client may send.
const MAX_PACKET: usize = 10_000;
const CANCEL_REQUEST: i32 = 80_877_102;
const SSL_REQUEST: i32 = 80_877_103;
const GSS_ENCRYPTION_REQUEST: i32 = 80_877_104;
/// The environment of connections that name none.
const DEFAULT_ENVIRONMENT: &str = "default";

/// A client that may begin its session.
pub(crate) struct Admitted {
    pub(crate) environment: Arc<dyn EnvironmentBackend>,
    pub(crate) user: String,
    pub(crate) role: Option<Arc<Role>>,
    pub(crate) settings: Settings,
    pub(crate) cancel: CancelHandle,
    pub(crate) place: OwnedSemaphorePermit,
}

impl Admitted {
    pub(crate) fn into_session(self, input: Input, output: Output, client: SocketAddr, shared: &Shared) -> Session {
        Session::new(self, input, output, client, Arc::clone(&shared.engine), shared.shutdown.clone())
    }
}

fn fatal(error: PgError) -> Halt {
    Halt::Fatal(Box::new(error))
}

/// Talks to a new client until it is admitted; `None` when it wanted no session.
pub(crate) async fn log_in(input: &mut Input, output: &mut Output, client: SocketAddr, shared: &Shared) -> Result<Option<Admitted>, Halt> {
    let (mut may_ask_ssl, mut may_ask_gss) = (true, true);
    let packet = loop {
        let Some(packet) = next_packet(input).await? else { return Ok(None) };
        match (&packet[4..]).get_i32() {
            SSL_REQUEST if may_ask_ssl => {
                may_ask_ssl = false;
                output.send(PgWireBackendMessage::SslResponse(SslResponse::Refuse))?;
            }
            GSS_ENCRYPTION_REQUEST if may_ask_gss => {
                may_ask_gss = false;
                output.send(PgWireBackendMessage::GssEncResponse(GssEncResponse::Refuse))?;
            }
            CANCEL_REQUEST => {
                cancel(&packet, shared);
                return Ok(None);
            }
            _ => break packet,
        }
        output.flush().await?;
    };
    admit(packet, output, client, shared).map_err(|halt| match halt {
        Halt::Statement(error) => Halt::Fatal(error),
        other => other,
    })
}

async fn next_packet(input: &mut Input) -> Result<Option<BytesMut>, Halt> {
    loop {
        if let Some(packet) = input.take_packet(MAX_PACKET).map_err(fatal)? {
            return Ok(Some(packet));
        }
        if !input.fill().await? {
            return Ok(None);
        }
    }
}

fn cancel(packet: &[u8], shared: &Shared) {
    // Length, code, number, secret. A malformed request is nobody's to be told of.
    if let Some((mut number, secret)) = packet.get(8..).and_then(|rest| rest.split_at_checked(4)) {
        shared.cancels.cancel(number.get_i32(), secret);
    }
}

fn admit(mut packet: BytesMut, output: &mut Output, client: SocketAddr, shared: &Shared) -> Result<Option<Admitted>, Halt> {
    let (major, minor) = ((&packet[4..6]).get_u16(), (&packet[6..8]).get_u16());
    if major != 3 {
        return Err(PgError::new(UNSUPPORTED, format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.2")).into());
    }
    if packet.last() != Some(&0) || packet.len() < 9 {
        return Err(PgError::protocol("invalid startup packet layout: expected terminator as last byte").into());
    }
    let startup = Startup::decode(&mut packet, &DecodeContext::default())
        .ok()
        .flatten()
        .ok_or_else(|| PgError::protocol("invalid startup packet layout"))?;
    let mut parameters = startup.parameters;
    negotiate(minor, &mut parameters, output)?;

    let user = parameters
        .remove("user")
        .filter(|user| !user.is_empty())
        .ok_or_else(|| PgError::new(INVALID_AUTHORIZATION, "no PostgreSQL user name specified in startup packet"))?;
    if parameters.remove("replication").is_some_and(|value| !matches!(value.as_str(), "false" | "off" | "no" | "0")) {
        return Err(PgError::new(UNSUPPORTED, "replication connections are not supported").into());
    }
    if shared.shutdown.is_draining() {
        return Err(PgError::new(CANNOT_CONNECT_NOW, "the database system is shutting down").into());
    }
    let place = Arc::clone(&shared.sessions).try_acquire_owned().map_err(|_| {
        PgError::new(TOO_MANY_CONNECTIONS, "sorry, too many clients already")
            .hint("Close idle connections, or raise limits.max_connections.")
    })?;
    let environment = environment(parameters.remove("database"), &user, shared)?;

    let mut settings = Settings::new();
    settings.preset("session_authorization", &user);
    let role = environment.role(&user);
    if let Some(role) = &role {
        role.preset(&mut settings)?;
    }
    let mut asked = match parameters.remove("options") {
        Some(options) => command_line(&options)?,
        None => Vec::new(),
    };
    asked.extend(parameters);
    for (name, value) in &asked {
        if let Some(role) = &role {
            role.admit_setting(name, value)?;
        }
        settings.at_startup(name, value)?;
    }

    let secret = new_secret(if minor >= 2 { 32 } else { 4 }).ok_or_else(|| PgError::internal("the system gives no random numbers"))?;
    let cancel = shared.cancels.register(secret);
    output.send(PgWireBackendMessage::Authentication(Authentication::Ok))?;
    output.send(PgWireBackendMessage::BackendKeyData(BackendKeyData::new(cancel.pid(), cancel.secret_key())))?;
    tracing::Span::current().record("pid", cancel.pid());
    tracing::debug!(user, environment = environment.name(), %client, "session begins");
    Ok(Some(Admitted { environment, user, role, settings, cancel, place }))
}

/// Answers a client that is newer than we are, or asks for protocol options.
fn negotiate(minor: u16, parameters: &mut BTreeMap<String, String>, output: &mut Output) -> Result<(), Halt> {
    let options: Vec<String> = parameters.keys().filter(|name| name.starts_with("_pq_.")).cloned().collect();
    for option in &options {
        parameters.remove(option);
    }
    if minor > 2 || !options.is_empty() {
        let spoken = if minor >= 2 { ProtocolVersion::PROTOCOL3_2 } else { ProtocolVersion::PROTOCOL3_0 };
        output.send(PgWireBackendMessage::NegotiateProtocolVersion(NegotiateProtocolVersion::new(i32::from(spoken), options)))?;
    }
    Ok(())
}

/// The environment a client asked for. Drivers name the user's database when told none, so that means the default one.
fn environment(database: Option<String>, user: &str, shared: &Shared) -> Result<Arc<dyn EnvironmentBackend>, PgError> {
    let name = database.filter(|name| !name.is_empty()).unwrap_or_else(|| DEFAULT_ENVIRONMENT.to_owned());
    shared
        .backend
        .environment(&name)
        .or_else(|| if name == user { shared.backend.environment(DEFAULT_ENVIRONMENT) } else { None })
        .ok_or_else(|| {
            PgError::new(UNKNOWN_DATABASE, format!("database \"{name}\" does not exist"))
                .hint("A database is an environment of Causeway; without one the environment is \"default\".")
        })
}

/// Reads `-c name=value --name=value`, where a backslash keeps a blank.
fn command_line(options: &str) -> Result<Vec<(String, String)>, PgError> {
    let mut words: Vec<String> = Vec::new();
    let mut is_inside = false;
    let mut characters = options.chars();
    while let Some(character) = characters.next() {
        if character.is_ascii_whitespace() {
            is_inside = false;
            continue;
        }
        if !is_inside {
            words.push(String::new());
            is_inside = true;
        }
        let kept = if character == '\\' { characters.next() } else { Some(character) };
        if let (Some(word), Some(kept)) = (words.last_mut(), kept) {
            word.push(kept);
        }
    }
    let mut settings = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let pair = if word == "-c" { words.next() } else { word.strip_prefix("--").or_else(|| word.strip_prefix("-c")).map(str::to_owned) };
        let (name, value) = pair
            .as_deref()
            .and_then(|pair| pair.split_once('='))
            .ok_or_else(|| PgError::new("42601", format!("invalid command-line argument for server process: {word}")))?;
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_a_command_line() {
        let read = command_line(r"-c statement_timeout=5s --search-path=a,\ b -ctimezone=UTC").unwrap();
        let expected = [("statement_timeout", "5s"), ("search_path", "a, b"), ("timezone", "UTC")];
        assert_eq!(read, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(command_line("-x 5").unwrap_err().code, "42601");
        assert_eq!(command_line("-c novalue").unwrap_err().code, "42601");
    }
}
