//! Who may ask for what, and how often.
//!
//! Every path under `/v1` has a [`Gate`]: it holds the client's address and key to their rates,
//! finds out whose key it is, and asks whether its role is enough. Behind it, a handler knows its
//! [`Caller`].

mod address;
mod keys;
mod rates;

pub use address::{Peer, TrustedProxies};
pub use keys::Keys;
pub use rates::{Allowance, Rates};

pub(crate) use keys::routes as key_routes;
pub(crate) use rates::whole_seconds;

use crate::live::Origins;
use crate::problem::{Kind, Problem};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use contracts::api_key::Role;
use rates::Spent;
use std::sync::Arc;
use std::time::Duration;

/// What a caller without a key is called, where writing needs none.
const OPEN: &str = "open";

/// What holds for all gates.
pub struct Access {
    /// The keys there are.
    pub keys: Keys,
    /// Whether reading needs no key.
    pub public_reads: bool,
    /// Whether writing needs no key either.
    pub open_writes: bool,
    /// Whose word on the client's address is taken.
    pub proxies: TrustedProxies,
    /// How often may be read.
    pub reads: Rates,
    /// How often may be written.
    pub writes: Rates,
    /// Whose pages may write.
    pub origins: Origins,
}

/// Who is asking, once the gate has let it in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The name of its key. Only keys that write need one.
    pub(crate) name: String,
}

/// What stands before the paths of one role.
#[derive(Clone)]
pub(crate) struct Gate {
    access: Arc<Access>,
    role: Role,
}

impl Gate {
    pub(crate) fn new(access: &Arc<Access>, role: Role) -> Self {
        Self { access: Arc::clone(access), role }
    }

    /// Takes from the allowances and finds out who is asking.
    fn admit(&self, request: &Request) -> (Result<Caller, Problem>, Option<Spent>) {
        let access = &self.access;
        let rates = if is_read(request.method()) { &access.reads } else { &access.writes };
        let address = access.proxies.client_of(request);
        let mut spent = rates.take(&Allowance::of_address(address));
        if let Some(refused) = spent.as_ref().and_then(Spent::refused) {
            return (Err(too_often(refused, "this address")), spent);
        }
        let caller = self.caller(request.headers());
        if let Ok(Some(name)) = &caller {
            // What is left of the smaller of the two is what counts.
            spent = Spent::smaller(spent, rates.take(&Allowance::of_key(name)));
            if let Some(refused) = spent.as_ref().and_then(Spent::refused) {
                return (Err(too_often(refused, "this key")), spent);
            }
        }
        (caller.map(|name| Caller { name: name.unwrap_or_else(|| OPEN.to_owned()) }), spent)
    }

    /// The name of the caller's key; `None` where none was given and none is needed.
    fn caller(&self, headers: &HeaderMap) -> Result<Option<String>, Problem> {
        if self.role > Role::Read && !self.access.origins.allow(headers) {
            return Err(Problem::new(Kind::OriginNotAllowed, "ALLOWED_ORIGINS does not list it"));
        }
        let Some(secret) = bearer(headers)? else {
            let open = match self.role {
                Role::Read => self.access.public_reads || self.access.open_writes,
                Role::Write => self.access.open_writes,
                Role::Admin => false,
            };
            let needed = || Problem::new(Kind::KeyNeeded, format!("this needs a key that may {}", self.role));
            return if open { Ok(None) } else { Err(needed()) };
        };
        let (name, role) = self
            .access
            .keys
            .find(secret)
            .ok_or_else(|| Problem::new(Kind::KeyUnknown, "there is no such key, or no more"))?;
        if role < self.role {
            let detail = format!("the key of {name} may {role}; this needs one that may {}", self.role);
            return Err(Problem::new(Kind::RoleTooLow, detail));
        }
        Ok(Some(name))
    }
}

/// Lets the request through, or says why not.
pub(crate) async fn admit(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let (caller, spent) = gate.admit(&request);
    let mut response = match caller {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    };
    if let Some(spent) = spent {
        for (name, value) in spent.headers() {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// The headers with which a client is told of its allowance.
pub(crate) const ALLOWANCE_HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("ratelimit-limit"),
    HeaderName::from_static("ratelimit-remaining"),
    HeaderName::from_static("ratelimit-reset"),
];

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn too_often(wait: Duration, who: &str) -> Problem {
    Problem::new(Kind::RateLimited, format!("{who} asks more often than it may")).retry_after(wait)
}

/// The secret in `Authorization: Bearer …`, if there is any.
fn bearer(headers: &HeaderMap) -> Result<Option<&[u8]>, Problem> {
    let Some(value) = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes) else { return Ok(None) };
    let (scheme, secret) = value.split_at(value.len().min("Bearer ".len()));
    if !scheme.eq_ignore_ascii_case(b"Bearer ") {
        return Err(Problem::new(Kind::KeyUnknown, "`Authorization` must be `Bearer` and the key"));
    }
    Ok(Some(secret.trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use contracts::api_key::{ApiKey, SecretDigest};
    use governor::Quota;
    use std::num::NonZeroU32;

    fn access() -> Access {
        let key = |name, role, secret: &str| ApiKey::new(name, role, SecretDigest::of(secret.as_bytes()));
        let keys = [
            key("reader", Role::Read, "r").unwrap(),
            key("game", Role::Write, "w").unwrap(),
            key("boss", Role::Admin, "a").unwrap(),
        ];
        Access {
            keys: Keys::of(keys.to_vec()),
            public_reads: true,
            open_writes: false,
            proxies: TrustedProxies::default(),
            reads: Rates::unlimited(),
            writes: Rates::unlimited(),
            origins: Origins::Listed(Vec::new()),
        }
    }

    fn request(method: &str, secret: Option<&str>) -> Request {
        let builder = Request::builder().method(method).uri("/v1");
        match secret {
            None => builder,
            Some(secret) => builder.header(header::AUTHORIZATION, format!("bearer {secret}")),
        }
        .body(Body::empty())
        .unwrap()
    }

    fn outcome(access: &Arc<Access>, role: Role, secret: Option<&str>) -> Result<String, Kind> {
        let method = if role == Role::Write { "POST" } else { "GET" };
        let (caller, _) = Gate::new(access, role).admit(&request(method, secret));
        caller.map(|caller| caller.name).map_err(|problem| problem.kind)
    }

    #[test]
    fn each_role_opens_its_gate_and_those_before() {
        let access = Arc::new(access());
        for (secret, read, write, admin) in [
            (None, Ok("open"), Err(Kind::KeyNeeded), Err(Kind::KeyNeeded)),
            (Some("r"), Ok("reader"), Err(Kind::RoleTooLow), Err(Kind::RoleTooLow)),
            (Some("w"), Ok("game"), Ok("game"), Err(Kind::RoleTooLow)),
            (Some("a"), Ok("boss"), Ok("boss"), Ok("boss")),
            // Wrong keys do not pass for none, so that a typo is noticed.
            (Some("x"), Err(Kind::KeyUnknown), Err(Kind::KeyUnknown), Err(Kind::KeyUnknown)),
            (Some(""), Err(Kind::KeyUnknown), Err(Kind::KeyUnknown), Err(Kind::KeyUnknown)),
        ] {
            for (role, expected) in [(Role::Read, read), (Role::Write, write), (Role::Admin, admin)] {
                assert_eq!(
                    outcome(&access, role, secret),
                    expected.map(str::to_owned),
                    "{secret:?} at {role}"
                );
            }
        }
    }

    #[test]
    fn reads_and_writes_are_as_open_as_was_said() {
        let closed = Arc::new(Access { public_reads: false, ..access() });
        assert_eq!(outcome(&closed, Role::Read, None), Err(Kind::KeyNeeded));
        assert_eq!(outcome(&closed, Role::Read, Some("r")), Ok("reader".into()));
        let open = Arc::new(Access { open_writes: true, ..access() });
        assert_eq!(outcome(&open, Role::Write, None), Ok("open".into()));
        assert_eq!(outcome(&open, Role::Admin, None), Err(Kind::KeyNeeded));
    }

    #[test]
    fn pages_of_other_sites_cannot_write() {
        let access = Arc::new(Access { open_writes: true, ..access() });
        let mut request = request("POST", None);
        request.headers_mut().insert(header::ORIGIN, "https://evil.example".parse().unwrap());
        let (caller, _) = Gate::new(&access, Role::Write).admit(&request);
        assert_eq!(caller.unwrap_err().kind, Kind::OriginNotAllowed);
        assert!(Gate::new(&access, Role::Read).admit(&request).0.is_ok());
    }

    #[test]
    fn other_schemes_are_not_keys() {
        let access = Arc::new(access());
        for value in ["Basic dzp3", "Bearer", "w", ""] {
            let mut request = request("GET", None);
            request.headers_mut().insert(header::AUTHORIZATION, value.parse().unwrap());
            let (caller, _) = Gate::new(&access, Role::Read).admit(&request);
            assert_eq!(caller.unwrap_err().kind, Kind::KeyUnknown, "{value}");
        }
    }

    #[test]
    fn address_and_key_have_an_allowance_each_and_so_have_reads_and_writes() {
        let two_a_day = || {
            let two = NonZeroU32::new(2).unwrap();
            Rates::of(Quota::with_period(Duration::from_secs(43_200)).unwrap().allow_burst(two))
        };
        let access = Arc::new(Access { reads: two_a_day(), writes: two_a_day(), ..access() });
        let from = |address: &str, role, secret| {
            let mut request = request(if role == Role::Write { "POST" } else { "GET" }, secret);
            request.extensions_mut().insert(Peer(address.parse().unwrap()));
            let (caller, spent) = Gate::new(&access, role).admit(&request);
            let remaining = spent.unwrap().headers()[1].1.clone();
            (caller.err().map(|problem| problem.kind), remaining)
        };
        assert_eq!(from("192.0.2.1", Role::Read, None), (None, "1".parse().unwrap()));
        assert_eq!(from("192.0.2.1", Role::Read, None), (None, "0".parse().unwrap()));
        assert_eq!(from("192.0.2.1", Role::Read, None).0, Some(Kind::RateLimited));
        // A wrong key costs the address what a right one does.
        assert_eq!(from("192.0.2.1", Role::Write, Some("x")).0, Some(Kind::KeyUnknown));
        assert_eq!(from("192.0.2.1", Role::Write, Some("w")), (None, "0".parse().unwrap()));
        assert_eq!(from("192.0.2.1", Role::Write, Some("w")).0, Some(Kind::RateLimited));
        // From elsewhere the same key has what it has left.
        assert_eq!(from("192.0.2.2", Role::Write, Some("w")), (None, "0".parse().unwrap()));
        assert_eq!(from("192.0.2.3", Role::Write, Some("w")).0, Some(Kind::RateLimited));
        assert_eq!(from("192.0.2.3", Role::Write, Some("a")).0, None);
    }
}
