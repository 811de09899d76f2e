//! List prices in us-east-1, without taxes, free allowances and discounts for quantity.

use rust_decimal::Decimal;

/// When they were put together.
pub(crate) const AS_OF: &str = "26 November 2026";

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

const DYNAMODB: &str = "https://aws.amazon.com/dynamodb/pricing/on-demand/";
const KINESIS: &str = "https://aws.amazon.com/kinesis/data-streams/pricing/";
const LAMBDA: &str = "https://aws.amazon.com/lambda/pricing/";
const CLOUDWATCH: &str = "https://aws.amazon.com/cloudwatch/pricing/";
const API: &str = "https://aws.amazon.com/api-gateway/pricing/";
const SCHEDULER: &str = "https://aws.amazon.com/eventbridge/pricing/";

impl Price {
    pub(crate) const ALL: [Price; 17] = [
        Self::ApiRequest,
        Self::LambdaRequest,
        Self::LambdaGbSecond,
        Self::WriteUnit,
        Self::ReadUnit,
        Self::OnDemandGbIn,
        Self::OnDemandGbOut,
        Self::OnDemandStreamHour,
        Self::ShardHour,
        Self::PutUnit,
        Self::PutMetricData,
        Self::MetricMonth,
        Self::AlarmMonth,
        Self::DashboardMonth,
        Self::LogGb,
        Self::ScheduleInvocation,
        Self::TableGbMonth,
    ];

    /// What, for how many, in dollars, and whose page says so.
    pub(crate) fn line(self) -> (&'static str, i64, Decimal, &'static str) {
        let usd = |hundred_thousandths, what, of, url| (what, of, Decimal::new(hundred_thousandths, 5), url);
        match self {
            Self::ApiRequest => {
                usd(100_000, "API Gateway, HTTP API: requests of up to 512 KB", 1_000_000, API)
            }
            Self::LambdaRequest => usd(20_000, "Lambda: invocations", 1_000_000, LAMBDA),
            Self::LambdaGbSecond => usd(1_333_340, "Lambda, arm64: GB-seconds", 1_000_000, LAMBDA),
            Self::WriteUnit => usd(62_500, "DynamoDB, on demand: write units", 1_000_000, DYNAMODB),
            Self::ReadUnit => usd(12_500, "DynamoDB, on demand: read units", 1_000_000, DYNAMODB),
            Self::OnDemandGbIn => {
                usd(8_000, "Kinesis on demand: GB in, each record rounded up to 1 KB", 1, KINESIS)
            }
            Self::OnDemandGbOut => usd(4_000, "Kinesis on demand: GB out", 1, KINESIS),
            Self::OnDemandStreamHour => usd(4_000, "Kinesis on demand: hours of a stream", 1, KINESIS),
            Self::ShardHour => usd(1_500, "Kinesis provisioned: hours of a shard", 1, KINESIS),
            Self::PutUnit => usd(1_400, "Kinesis provisioned: PUT units of 25 KB", 1_000_000, KINESIS),
            Self::PutMetricData => usd(1_000, "CloudWatch: PutMetricData calls", 1_000, CLOUDWATCH),
            Self::MetricMonth => usd(30_000, "CloudWatch: metrics of one's own, by the month", 1, CLOUDWATCH),
            Self::AlarmMonth => usd(10_000, "CloudWatch: metrics of alarms, by the month", 1, CLOUDWATCH),
            Self::DashboardMonth => usd(300_000, "CloudWatch: dashboards, by the month", 1, CLOUDWATCH),
            Self::LogGb => usd(50_000, "CloudWatch Logs: GB in", 1, CLOUDWATCH),
            Self::ScheduleInvocation => {
                usd(100_000, "EventBridge Scheduler: invocations", 1_000_000, SCHEDULER)
            }
            Self::TableGbMonth => usd(25_000, "DynamoDB: GB stored, by the month", 1, DYNAMODB),
        }
    }

    /// So many of it.
    pub(crate) fn of(self, count: Decimal) -> Decimal {
        let (_, of, usd, _) = self.line();
        usd * count / Decimal::from(of)
    }
}
