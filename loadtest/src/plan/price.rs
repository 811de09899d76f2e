//! List prices in us-east-1, as in the table of `docs/cost.md`: a test compares them.

use rust_decimal::Decimal;

/// What is paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Price {
    ApiRequest,
    LambdaRequest,
    LambdaGbSecond,
    WriteUnit,
    ReadUnit,
    OnDemandGbIn,
    OnDemandGbOut,
    OnDemandStreamHour,
    ShardHour,
    PutUnit,
    PutMetricData,
    MetricMonth,
    AlarmMonth,
    DashboardMonth,
    LogGb,
    ScheduleInvocation,
    TableGbMonth,
}

impl Price {
    /// How its line in `docs/cost.md` begins, hundred-thousandths of a dollar, and for how many.
    pub(super) fn line(self) -> (&'static str, i64, u32) {
        match self {
            Self::ApiRequest => ("API Gateway", 100_000, 1_000_000),
            Self::LambdaRequest => ("Lambda: invocations", 20_000, 1_000_000),
            Self::LambdaGbSecond => ("Lambda, arm64: GB-seconds", 1_333_340, 1_000_000),
            Self::WriteUnit => ("DynamoDB, on demand: write units", 62_500, 1_000_000),
            Self::ReadUnit => ("DynamoDB, on demand: read units", 12_500, 1_000_000),
            Self::OnDemandGbIn => ("Kinesis on demand: GB in", 8_000, 1),
            Self::OnDemandGbOut => ("Kinesis on demand: GB out", 4_000, 1),
            Self::OnDemandStreamHour => ("Kinesis on demand: hours of a stream", 4_000, 1),
            Self::ShardHour => ("Kinesis provisioned: hours of a shard", 1_500, 1),
            Self::PutUnit => ("Kinesis provisioned: PUT units", 1_400, 1_000_000),
            Self::PutMetricData => ("CloudWatch: PutMetricData calls", 1_000, 1_000),
            Self::MetricMonth => ("CloudWatch: metrics of one's own", 30_000, 1),
            Self::AlarmMonth => ("CloudWatch: metrics of alarms", 10_000, 1),
            Self::DashboardMonth => ("CloudWatch: dashboards", 300_000, 1),
            Self::LogGb => ("CloudWatch Logs: GB in", 50_000, 1),
            Self::ScheduleInvocation => ("EventBridge Scheduler: invocations", 100_000, 1_000_000),
            Self::TableGbMonth => ("DynamoDB: GB stored", 25_000, 1),
        }
    }

    /// So many of it, in dollars.
    pub(super) fn of(self, count: Decimal) -> Decimal {
        let (_, hundred_thousandths, of) = self.line();
        Decimal::new(hundred_thousandths, 5) * count / Decimal::from(of)
    }
}
