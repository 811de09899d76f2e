//! IAM principals, and what each may do: where API Gateway has verified the signature of a request, and says
//! whose it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use shared::id::TeamId;

use crate::claims::{MAX_AGENTS, Role};
use crate::pattern::AgentPattern;

/// The most principals: they are read from one variable of an environment.
pub const MAX_PRINCIPALS: usize = 100;

/// What a principal may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The ARN that it is configured by: a role's or a user's.
    pub arn: String,
    /// What it may do.
    pub role: Role,
    /// The agents that it may write for.
    pub agents: Vec<AgentPattern>,
    /// The team that pays for what it sends.
    pub team: Option<TeamId>,
}

/// The principals that are known.
#[derive(Clone, Debug, Default)]
pub struct Principals(BTreeMap<Identity, Arc<Principal>>);

/// Principals that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PrincipalsError {
    /// Not JSON of that shape.
    #[error(
        "is no JSON of principals such as {{\"arn:aws:iam::123456789012:role/writer\":{{\"agents\":[\"writer-*\"]}}}}: {0}"
    )]
    Json(#[from] serde_json::Error),
    /// Not a role, nor a user.
    #[error("names {0}, which is not the ARN of an IAM role or user")]
    Arn(String),
    /// For nobody, or for more than fit.
    #[error(
        "gives {arn} {agents} agents; a principal that sends usage has 1 to {MAX_AGENTS}, and no other has any"
    )]
    Agents {
        /// Whose.
        arn: String,
        /// How many.
        agents: usize,
    },
    /// More than are kept.
    #[error("has {0} principals; there may be {MAX_PRINCIPALS}")]
    TooMany(usize),
    /// A role with a path and one of the same name without: their sessions look the same.
    #[error("names the role {0} twice, under two paths, and the ARN of a session does not say which")]
    Twice(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(default = "sends")]
    role: Role,
    #[serde(default)]
    agents: Vec<AgentPattern>,
    #[serde(default)]
    team: Option<TeamId>,
}

fn sends() -> Role {
    Role::Ingest
}

/// Who an ARN is about: the partition, the account, the kind and the name. The ARN of a role's session has
/// neither the role's path nor the service `iam`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Identity {
    partition: String,
    account: String,
    is_role: bool,
    name: String,
}

impl Identity {
    /// Of a role or a user, as it is configured.
    fn configured(arn: &str) -> Option<Self> {
        let (partition, account, resource) = parts(arn, "iam")?;
        let (kind, path) = resource.split_once('/')?;
        match kind {
            "role" => Self::new(partition, account, true, path.rsplit('/').next()?),
            "user" => Self::new(partition, account, false, path),
            _ => None,
        }
    }

    /// Of a caller, as API Gateway names it.
    fn calling(arn: &str) -> Option<Self> {
        if let Some((partition, account, resource)) = parts(arn, "sts") {
            let (role, _session) = resource.strip_prefix("assumed-role/")?.split_once('/')?;
            return Self::new(partition, account, true, role);
        }
        Self::configured(arn).filter(|identity| !identity.is_role)
    }

    fn new(partition: &str, account: &str, is_role: bool, name: &str) -> Option<Self> {
        let (partition, account, name) = (partition.to_owned(), account.to_owned(), name.to_owned());
        (!name.is_empty()).then_some(Self { partition, account, is_role, name })
    }
}

/// The partition, the account and the resource of an ARN of a service without a region.
fn parts<'a>(arn: &'a str, service: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let mut parts = arn.splitn(6, ':');
    let (head, partition, of, region) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let (account, resource) = (parts.next()?, parts.next()?);
    let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    let fits = head == "arn" && !partition.is_empty() && of == service && region.is_empty() && is_account;
    fits.then_some((partition, account, resource))
}

impl Principals {
    /// Reads `{ARN: {"agents": […], "team": …, "role": "ingest"}}`; the role and the team may be left out.
    pub fn from_json(json: &str) -> Result<Self, PrincipalsError> {
        let entries: BTreeMap<String, Entry> = serde_json::from_str(json)?;
        if entries.len() > MAX_PRINCIPALS {
            return Err(PrincipalsError::TooMany(entries.len()));
        }
        let mut principals = BTreeMap::new();
        for (arn, Entry { role, agents, team }) in entries {
            let identity = Identity::configured(&arn).ok_or_else(|| PrincipalsError::Arn(arn.clone()))?;
            let fits = if role == Role::Ingest {
                (1..=MAX_AGENTS).contains(&agents.len())
            } else {
                agents.is_empty()
            };
            if !fits {
                return Err(PrincipalsError::Agents { arn, agents: agents.len() });
            }
            let name = identity.name.clone();
            if principals.insert(identity, Arc::new(Principal { arn, role, agents, team })).is_some() {
                return Err(PrincipalsError::Twice(name));
            }
        }
        Ok(Self(principals))
    }

    /// The principal that a caller's ARN is of.
    pub(crate) fn find(&self, caller: &str) -> Option<&Arc<Principal>> {
        self.0.get(&Identity::calling(caller)?)
    }
}

#[cfg(test)]
mod tests {
    use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
    use edge::Code;
    use shared::id::AgentId;

    use super::*;
    use crate::access::Access;
    use crate::error::TokenError;

    const JSON: &str = r#"{
        "arn:aws:iam::123456789012:role/teams/research/writer": {"agents": ["writer-*"], "team": "research"},
        "arn:aws:iam::123456789012:user/ops/jane": {"agents": ["a", "b"], "team": null},
        "arn:aws:iam::123456789012:role/reader": {"role": "read"}
    }"#;

    #[test]
    fn a_session_is_known_by_its_role_and_a_user_by_its_whole_name() {
        let principals = Principals::from_json(JSON).unwrap();
        let found = |arn: &str| principals.find(arn).map(|principal| principal.arn.clone());
        let writer = "arn:aws:iam::123456789012:role/teams/research/writer".to_owned();
        assert_eq!(found("arn:aws:sts::123456789012:assumed-role/writer/i-0123"), Some(writer.clone()));
        assert_eq!(found("arn:aws:sts::123456789012:assumed-role/writer/a/b"), Some(writer));
        assert!(found("arn:aws:iam::123456789012:user/ops/jane").is_some());
        for stranger in [
            "arn:aws:sts::210987654321:assumed-role/writer/i-0123",
            "arn:aws-cn:sts::123456789012:assumed-role/writer/i-0123",
            "arn:aws:sts::123456789012:assumed-role/writer",
            "arn:aws:sts::123456789012:assumed-role/writer2/i-0123",
            "arn:aws:sts::123456789012:federated-user/writer",
            "arn:aws:iam::123456789012:role/writer",
            "arn:aws:iam::123456789012:user/jane",
            "arn:aws:iam::123456789012:user/writer",
            "arn:aws:iam::123456789012:root",
            "writer",
            "",
        ] {
            assert_eq!(found(stranger), None, "{stranger}");
        }
    }

    fn request(arn: Option<&str>) -> ApiGatewayV2httpRequest {
        let mut context = serde_json::json!({"http": {"method": "POST"}});
        if let Some(arn) = arn {
            // As HTTP APIs send it.
            context["authorizer"] = serde_json::json!({"iam": {
                "accessKey": "AKIAEXAMPLE", "accountId": "123456789012", "callerId": "AROAEXAMPLE:s",
                "cognitoIdentity": null, "principalOrgId": "o-1", "userArn": arn, "userId": "AROAEXAMPLE:s"
            }});
        }
        let event = serde_json::json!({
            "version": "2.0", "headers": {"authorization": "Bearer x"}, "requestContext": context,
            "isBase64Encoded": false
        });
        serde_json::from_value(event).unwrap()
    }

    #[test]
    fn a_caller_may_do_what_its_principal_may_and_nobody_is_known_by_headers() {
        let access = Access::principals(Principals::from_json(JSON).unwrap());
        let session = "arn:aws:sts::123456789012:assumed-role/writer/s";
        let writer = access.caller_of(&request(Some(session))).unwrap();
        let agent = |name: &str| AgentId::parse(name).unwrap();
        assert!(writer.is_authenticated() && writer.demand(Role::Ingest).is_ok());
        assert!(writer.may_write_for(&agent("writer-7")) && !writer.may_write_for(&agent("a")));
        assert_eq!(writer.team().map(TeamId::as_str), Some("research"));
        let reader =
            access.caller_of(&request(Some("arn:aws:sts::123456789012:assumed-role/reader/s"))).unwrap();
        assert!(reader.demand(Role::Ingest).is_err() && reader.demand(Role::Read).is_ok());
        let refused = |arn| access.caller_of(&request(arn)).unwrap_err().code;
        assert_eq!(refused(Some("arn:aws:sts::123456789012:assumed-role/other/s")), Code::Forbidden);
        assert_eq!(refused(None), Code::Unauthorized);
        assert_eq!(access.caller(&request(Some(session)).headers).unwrap_err(), TokenError::Unsigned);
        // What API Gateway says is not asked for where it does not verify.
        assert!(!Access::open().caller_of(&request(Some(session))).unwrap().is_authenticated());
    }

    #[test]
    fn what_would_be_ignored_is_refused() {
        let refused = |json: &str| Principals::from_json(json).unwrap_err().to_string();
        let arn = "arn:aws:iam::123456789012:role/w";
        for (json, said) in [
            ("[]".to_owned(), "no JSON of principals"),
            (format!(r#"{{"{arn}":{{"agents":["a"],"teams":"t"}}}}"#), "unknown field"),
            (format!(r#"{{"{arn}":{{}}}}"#), "gives arn:aws:iam::123456789012:role/w 0 agents"),
            (format!(r#"{{"{arn}":{{"role":"read","agents":["a"]}}}}"#), "1 agents"),
            (format!(r#"{{"{arn}":{{"agents":["a b"]}}}}"#), "no JSON of principals"),
            (r#"{"arn:aws:sts::123456789012:assumed-role/w/s":{"agents":["a"]}}"#.to_owned(), "not the ARN"),
            (r#"{"arn:aws:iam::1:role/w":{"agents":["a"]}}"#.to_owned(), "not the ARN"),
            (r#"{"arn:aws:iam::123456789012:role/":{"agents":["a"]}}"#.to_owned(), "not the ARN"),
            (
                format!(
                    r#"{{"{arn}":{{"agents":["a"]}},"arn:aws:iam::123456789012:role/p/w":{{"agents":["b"]}}}}"#
                ),
                "names the role w twice",
            ),
        ] {
            assert!(refused(&json).contains(said), "{json}: {}", refused(&json));
        }
    }
}
