//! Which host and port a request is meant for, and which a form comes from.
//!
//! HTTP/1.1 says it in `Host`, HTTP/2 in `:authority` and browsers then send no `Host`; proxies may
//! send both. Where what is said leaves a choice, somebody in between may choose otherwise than the
//! page does, so that such a request is meant for no place at all.

use std::net::Ipv6Addr;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri, header};

/// A host and a port, in the one form that they have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    host: String,
    /// `None`: the scheme's own.
    port: Option<u16>,
}

/// Why a request is meant for no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unplaced {
    /// Neither a `Host` nor an authority.
    Nowhere,
    /// What is said there is no host and port.
    Broken,
    /// More than one `Host`, whatever they say.
    Twice,
    /// `Host` and the authority say different things.
    Differs,
}

impl Place {
    /// Reads a host and perhaps a port; there is no place with a user's name in front.
    pub(super) fn read(text: &str) -> Option<Place> {
        let authority: Authority = text.parse().ok()?;
        let host = authority.host();
        let rest = authority.as_str().strip_prefix(host)?;
        let digits = if rest.is_empty() { rest } else { rest.strip_prefix(':')? };
        let port = match digits {
            "" => None,
            digits if digits.bytes().all(|b| b.is_ascii_digit()) => Some(digits.parse().ok()?),
            _ => return None,
        };
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            // An address has many forms, of which one is compared.
            Some(address) => format!("[{}]", address.parse::<Ipv6Addr>().ok()?),
            None if host.is_empty() => return None,
            None => host.to_ascii_lowercase(),
        };
        Some(Place { host, port })
    }

    /// Where a request is meant to go.
    pub(super) fn of(headers: &HeaderMap, uri: &Uri) -> Result<Place, Unplaced> {
        let mut hosts = headers.get_all(header::HOST).into_iter();
        let named = hosts.next();
        if hosts.next().is_some() {
            return Err(Unplaced::Twice);
        }
        let read = |text: Option<&str>| text.and_then(Place::read).ok_or(Unplaced::Broken);
        let named = named.map(|host| read(host.to_str().ok())).transpose()?;
        let aimed = uri.authority().map(|authority| read(Some(authority.as_str()))).transpose()?;
        match (named, aimed) {
            (None, None) => Err(Unplaced::Nowhere),
            (Some(place), None) | (None, Some(place)) => Ok(place),
            (Some(named), Some(aimed)) => {
                let same = named.is(&aimed, uri.scheme_str().unwrap_or_default());
                if same { Ok(aimed) } else { Err(Unplaced::Differs) }
            }
        }
    }

    /// The host alone.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Whether both are the same under a scheme.
    pub(super) fn is(&self, other: &Place, scheme: &str) -> bool {
        let own = match scheme {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        };
        self.host == other.host && self.port.or(own) == other.port.or(own)
    }
}

/// Where a form comes from, as browsers say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// In small letters.
    pub(super) scheme: String,
    /// Of which host and port.
    pub(super) place: Place,
}

impl Origin {
    /// Reads one; `null` and lists are none.
    pub(super) fn read(text: &str) -> Option<Origin> {
        let (scheme, place) = text.split_once("://")?;
        Some(Origin { scheme: scheme.to_ascii_lowercase(), place: Place::read(place)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(hosts: &[&str], target: &str) -> Result<Place, Unplaced> {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(header::HOST, host.parse().unwrap());
        }
        Place::of(&headers, &target.parse().unwrap())
    }

    #[test]
    fn a_place_is_said_by_host_by_target_or_by_both() {
        let said = [
            (&["neap.example"][..], "/", "neap.example", None),
            (&["NEAP.Example:7317"], "/idle?x=http://evil.example/", "neap.example", Some(7317)),
            (&["neap.example:"], "/", "neap.example", None),
            (&[], "https://neap.example/idle", "neap.example", None),
            (&[], "https://neap.example:443/idle", "neap.example", Some(443)),
            (&[], "http://[::1]:7317/", "[::1]", Some(7317)),
            (&["[0:0:0:0:0:0:0:1]:7317"], "/", "[::1]", Some(7317)),
            (&["[2001:DB8::0:1]"], "/", "[2001:db8::1]", None),
            (&["neap.example"], "https://neap.example:443/", "neap.example", Some(443)),
            (&["NEAP.example:80"], "http://neap.EXAMPLE/", "neap.example", None),
            (&["[::1]:7317"], "http://[0::1]:7317/", "[::1]", Some(7317)),
        ];
        for (hosts, target, host, port) in said {
            let place = Place { host: host.to_owned(), port };
            assert_eq!(of(hosts, target), Ok(place), "{hosts:?} {target}");
        }
    }

    #[test]
    fn what_leaves_a_choice_is_no_place() {
        let unplaced = [
            (&[][..], "/", Unplaced::Nowhere),
            (&[""], "/", Unplaced::Broken),
            (&[" "], "/", Unplaced::Broken),
            (&["user@neap.example"], "/", Unplaced::Broken),
            (&["neap.example:80@neap.example"], "/", Unplaced::Broken),
            (&["neap.example:99999"], "/", Unplaced::Broken),
            (&["neap.example:+80"], "/", Unplaced::Broken),
            (&["neap.example:80:80"], "/", Unplaced::Broken),
            (&[":80"], "/", Unplaced::Broken),
            (&["[::1"], "/", Unplaced::Broken),
            (&["[neap.example]"], "/", Unplaced::Broken),
            (&["neap.example/idle"], "/", Unplaced::Broken),
            (&["http://neap.example"], "/", Unplaced::Broken),
            (&["neap.example evil.example"], "/", Unplaced::Broken),
            (&[], "https://user@neap.example/", Unplaced::Broken),
            (&["neap.example", "neap.example"], "/", Unplaced::Twice),
            (&["neap.example", "evil.example"], "/", Unplaced::Twice),
            (&["", "neap.example"], "https://neap.example/", Unplaced::Twice),
            (&["evil.example"], "https://neap.example/", Unplaced::Differs),
            (&["neap.example"], "https://evil.example/", Unplaced::Differs),
            (&["neap.example:80"], "https://neap.example/", Unplaced::Differs),
            (&["neap.example:443"], "http://neap.example/", Unplaced::Differs),
            (&["neap.example:7317"], "http://neap.example:7318/", Unplaced::Differs),
            (&["[::1]"], "http://[::2]/", Unplaced::Differs),
        ];
        for (hosts, target, why) in unplaced {
            assert_eq!(of(hosts, target), Err(why), "{hosts:?} {target}");
        }
    }
}
