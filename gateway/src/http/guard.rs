//! Who is let in while everybody is trusted: programs on this machine, and no web page that a browser on it shows.
//!
//! A page of another site can make a browser send requests here, and by a name of its own that resolves to this machine even read
//! the answers. Both show in the headers: the one in `Origin` or `Sec-Fetch-Site`, the other in `Host`.

use std::net::{IpAddr, Ipv6Addr};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Api;
use super::problem::Problem;

/// The header that names the environment.
const ENVIRONMENT: HeaderName = HeaderName::from_static("x-environment-id");
/// What browsers say about who made them send a request.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Lets a request pass, or answers it with a problem.
pub(super) async fn admit(State(api): State<Api>, request: Request, next: Next) -> Response {
    let mut response = match admitted(&api, &request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn admitted(api: &Api, request: &Request) -> Result<(), Problem> {
    let headers = request.headers();
    let host = single(headers, &header::HOST)?.ok_or_else(|| Problem::invalid("the request has no Host header"))?;
    // A target with an authority goes over what the header says.
    let named = request.uri().authority().map_or(host, |authority| authority.as_str());
    for name in [host, named] {
        if !is_this_machine(name, api.port) {
            let problem = Problem::new(StatusCode::FORBIDDEN, "HOST_REFUSED", "the request is for a host of another name");
            return Err(problem.hint("while everybody is trusted, use 127.0.0.1, [::1] or localhost and the gateway's own port"));
        }
    }
    let is_own = |origin: &str| origin.strip_prefix("http://").is_some_and(|from| from.eq_ignore_ascii_case(host));
    let foreign_origin = single(headers, &header::ORIGIN)?.is_some_and(|origin| !is_own(origin));
    let foreign_site = single(headers, &FETCH_SITE)?.is_some_and(|site| !matches!(site, "same-origin" | "none"));
    if foreign_origin || foreign_site {
        let problem = Problem::new(StatusCode::FORBIDDEN, "ORIGIN_REFUSED", "the request was made by a web page of another origin");
        return Err(problem.hint("while everybody is trusted, web pages are not let in"));
    }
    match single(headers, &ENVIRONMENT)? {
        Some(name) if name != api.administration.name() => {
            let problem = Problem::new(StatusCode::PRECONDITION_REQUIRED, "ENVIRONMENT_UNRESOLVED", "there is no environment of that name");
            Err(problem.hint(format!("there is: {}", api.administration.name())))
        }
        _ => Ok(()),
    }
}

/// A header that may be there once.
fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let (first, second) = (values.next(), values.next());
    if second.is_some() {
        return Err(Problem::invalid(format!("the header {name} is there more than once")));
    }
    first.map(|value| value.to_str().map_err(|_| Problem::invalid(format!("the header {name} is not text")))).transpose()
}

/// Whether a host and port are a loopback name or address and our port.
fn is_this_machine(host: &str, port: u16) -> bool {
    let (name, given) = match host.rsplit_once(':') {
        // The colons of a bare IPv6 address are no port's.
        Some((name, given)) if !given.ends_with(']') => (name, given.parse().ok()),
        _ => (host, Some(80)),
    };
    let is_loopback = match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback()),
        None => name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|a| a.is_ipv4() && a.is_loopback()),
    };
    is_loopback && given == Some(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_with_our_port_are_this_machine() {
        for host in ["127.0.0.1:7433", "localhost:7433", "LOCALHOST:7433", "[::1]:7433", "127.9.9.9:7433"] {
            assert!(is_this_machine(host, 7433), "{host}");
        }
        for host in [
            "",
            "127.0.0.1",
            "localhost",
            "localhost:7432",
            "localhost:",
            "localhost.:7433",
            "evil.example:7433",
            "localhost.evil.example:7433",
            "127.0.0.1.evil.example:7433",
            "192.0.2.1:7433",
            "[::2]:7433",
            "::1:7433",
            "[::1]",
            "0.0.0.0:7433",
            "127.0.0.1:07433x",
        ] {
            assert!(!is_this_machine(host, 7433), "{host}");
        }
        assert!(is_this_machine("localhost", 80));
        assert!(is_this_machine("[::1]", 80));
    }
}
