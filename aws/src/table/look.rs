//! How the table itself is, and what time it is there.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::types::{ContinuousBackupsDescription, PointInTimeRecoveryStatus};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};

use super::Table;
use crate::failure::{self, Failure};

/// A table, described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// `ACTIVE`, where it can be used.
    pub status: String,
    /// Whether it is protected from deletion.
    pub is_protected: bool,
    /// How far its clock is ahead of ours; none where it did not say.
    pub ahead: Option<SignedDuration>,
}

/// Notes the date of an answer, beside ours.
#[derive(Debug, Default)]
struct Dates {
    seen: Arc<Mutex<Option<(Timestamp, Timestamp)>>>,
}

impl Intercept for Dates {
    fn name(&self) -> &'static str {
        "Dates"
    }

    #[expect(clippy::disallowed_methods, reason = "the two clocks are compared")]
    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        if let Some(there) = date.and_then(|date| DateTimeParser::new().parse_timestamp(date).ok()) {
            *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some((there, Timestamp::now()));
        }
        Ok(())
    }
}

impl Table {
    /// Describes the table.
    pub async fn describe(&self) -> Result<Described, Failure> {
        let seen = Arc::default();
        let dates = Dates { seen: Arc::clone(&seen) };
        let call = self.client().describe_table().table_name(self.name());
        let described = call.customize().interceptor(dates).send().await;
        let described = described.map_err(|e| failure::of("dynamodb:DescribeTable", self.name(), &e))?;
        let table = described.table;
        let dates = *seen.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Described {
            status: table.as_ref().and_then(|t| t.table_status()).map_or("?", |s| s.as_str()).to_owned(),
            is_protected: table.as_ref().and_then(|t| t.deletion_protection_enabled).unwrap_or(false),
            ahead: dates.map(|(there, here)| there.duration_since(here)),
        })
    }

    /// Whether items expire by the attribute that says so.
    pub async fn expires(&self) -> Result<bool, Failure> {
        let got = self.client().describe_time_to_live().table_name(self.name()).send().await;
        let got = got.map_err(|e| failure::of("dynamodb:DescribeTimeToLive", self.name(), &e))?;
        let ttl = got.time_to_live_description;
        Ok(ttl.is_some_and(|ttl| {
            ttl.attribute_name() == Some("ttl")
                && ttl.time_to_live_status().is_some_and(|status| status.as_str().starts_with("ENABL"))
        }))
    }

    /// Whether the table can be restored to any second.
    pub async fn recovers(&self) -> Result<bool, Failure> {
        let got = self.client().describe_continuous_backups().table_name(self.name()).send().await;
        let got = got.map_err(|e| failure::of("dynamodb:DescribeContinuousBackups", self.name(), &e))?;
        let is_on = |backups: ContinuousBackupsDescription| {
            backups
                .point_in_time_recovery_description
                .and_then(|recovery| recovery.point_in_time_recovery_status)
                == Some(PointInTimeRecoveryStatus::Enabled)
        };
        Ok(got.continuous_backups_description.is_some_and(is_on))
    }
}
