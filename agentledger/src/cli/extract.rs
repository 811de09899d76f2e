//! `agentledger extract`.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct ExtractArgs {
    /// The response as it came: JSON, SSE, NDJSON or an AWS event stream [default: standard input].
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Who answered, such as openai or bedrock; decides where a body could be of several.
    #[arg(long, value_name = "NAME")]
    pub(crate) provider: Option<String>,
    /// The path of the request, such as /v1/chat/completions.
    #[arg(long)]
    pub(crate) path: Option<String>,
    /// The model that was asked for, where the response names none that has a price.
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// The content type of the response.
    #[arg(long, value_name = "TYPE")]
    pub(crate) content_type: Option<String>,
    /// The HTTP status of the response.
    #[arg(long, value_name = "CODE")]
    pub(crate) status: Option<u16>,
    /// When the call was made, RFC 3339: the prices of that time apply [default: now].
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
    /// Settings in TOML: the prices in it apply too.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Read one request object per line, and print one answer per line.
    #[arg(long, conflicts_with_all = ["provider", "path", "model", "content_type", "status"])]
    pub(crate) jsonl: bool,
    /// Price these counts instead of reading a response, such as {"`input_tokens":1000,"output_tokens":200`}.
    #[arg(long, value_name = "JSON", requires = "provider", conflicts_with_all = ["jsonl", "file", "path", "content_type", "status"])]
    pub(crate) usage: Option<String>,
    /// With --usage: how the provider worked on it.
    #[arg(long, value_name = "MODE", requires = "usage", value_parser = ["standard", "batch", "flex", "priority"])]
    pub(crate) mode: Option<String>,
}
