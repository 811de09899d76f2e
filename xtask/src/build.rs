//! Building the functions: by the machine's own tools where they do, and else by cargo-zigbuild, whose C compiler and
//! linker know every version of glibc.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::elf::{self, Arch, GLIBC};

/// The functions, by their crates; the binary of each is `NAME-lambda`.
const FUNCTIONS: [&str; 3] = ["ingest", "aggregator", "alerter"];
/// What builds for another processor, or for an older glibc.
const TOOLS: [&str; 2] = ["cargo-zigbuild==0.24.1", "ziglang==0.17.1"];
const PROFILE: &str = "lambda";

/// Where things are.
pub(crate) struct Workspace {
    root: PathBuf,
    pub(crate) target: PathBuf,
}

impl Workspace {
    pub(crate) fn here() -> anyhow::Result<Self> {
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace has no directory")?;
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        Ok(Self { root: root.to_owned(), target })
    }
}

/// A function that was built.
pub(crate) struct Built {
    pub(crate) name: &'static str,
    pub(crate) binary: Vec<u8>,
}

/// Builds all of them.
pub(crate) fn functions(
    workspace: &Workspace,
    arch: Arch,
    for_this_machine: bool,
) -> anyhow::Result<Vec<Built>> {
    if arch == Arch::X86_64 && cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        cargo(workspace, arch, false)?;
        let built = collect(workspace, arch)?;
        let newest = built.iter().map(|b| elf::glibc(&b.binary)).collect::<anyhow::Result<Vec<_>>>()?;
        let newest = newest.into_iter().max().context("nothing was built")?;
        if newest <= GLIBC || for_this_machine {
            return Ok(built);
        }
        eprintln!("the binaries need glibc {newest}; building them again for {GLIBC}");
    }
    cargo(workspace, arch, true)?;
    let built = collect(workspace, arch)?;
    for Built { name, binary } in &built {
        let newest = elf::glibc(binary)?;
        ensure!(newest <= GLIBC, "{name} needs glibc {newest}, and Amazon Linux 2023 has {GLIBC}");
    }
    Ok(built)
}

fn collect(workspace: &Workspace, arch: Arch) -> anyhow::Result<Vec<Built>> {
    let dir = workspace.target.join(arch.triple()).join(PROFILE);
    let read = |name| {
        let path = dir.join(format!("{name}-lambda"));
        let binary = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        elf::check_arch(&binary, arch).with_context(|| path.display().to_string())?;
        Ok(Built { name, binary })
    };
    FUNCTIONS.into_iter().map(read).collect()
}

fn cargo(workspace: &Workspace, arch: Arch, by_zig: bool) -> anyhow::Result<()> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(&workspace.root);
    let triple = arch.triple();
    if by_zig {
        let bin = tools(workspace)?;
        run(Command::new("rustup").args(["target", "add", triple]).current_dir(&workspace.root))?;
        let before = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths(std::iter::once(bin).chain(env::split_paths(&before)))?;
        command.env("PATH", path).args(["zigbuild", "--target", &format!("{triple}.{GLIBC}")]);
    } else {
        command.args(["build", "--target", triple]);
    }
    command.args(["--locked", "--profile", PROFILE, "--bins"]);
    let features: Vec<_> = FUNCTIONS.iter().map(|name| format!("{name}/lambda")).collect();
    command.args(["--features", &features.join(",")]);
    command.args(FUNCTIONS.iter().flat_map(|name| ["-p", name]));
    // Flags of the user's would show in the bytes.
    command
        .env_remove("RUSTFLAGS")
        .env("CARGO_ENCODED_RUSTFLAGS", flags(workspace, by_zig)?)
        .env("CARGO_INCREMENTAL", "0");
    run(&mut command)
}

/// Where the sources lie is no part of what is built of them. Functions that came out the same are kept once, where the
/// linker can do that: code is most of what a function holds in memory.
fn flags(workspace: &Workspace, by_zig: bool) -> anyhow::Result<OsString> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
    let home = home.context("neither CARGO_HOME nor HOME is set")?;
    let mut flags = OsString::new();
    for (from, to) in [(home.as_path(), "cargo"), (&workspace.root, ".")] {
        flags.push("--remap-path-prefix=");
        flags.push(from);
        flags.push(format!("={to}\u{1f}"));
    }
    flags.push(if by_zig || !links_by_lld()? { "-Clink-args=" } else { "-Clink-args=-Wl,--icf=all" });
    Ok(flags)
}

/// Whether the compiler links by the lld that it brings along, as it does since 1.90 on `x86_64` Linux.
fn links_by_lld() -> anyhow::Result<bool> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(&rustc).arg("-vV").output().context("cannot start rustc")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let minor = field("release: 1.")
        .and_then(|rest| rest.split('.').next())
        .and_then(|minor| minor.parse::<u32>().ok());
    let on = field("host:") == Some("x86_64-unknown-linux-gnu") && minor.is_some_and(|minor| minor >= 90);
    // A distribution's compiler may come without it.
    let root = Command::new(&rustc).args(["--print", "sysroot"]).output().context("cannot start rustc")?;
    let root = PathBuf::from(String::from_utf8_lossy(&root.stdout).trim());
    Ok(on && root.join("lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld").exists())
}

/// Installs what is missing into a virtual environment of its own; answers the directory of its programs.
fn tools(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let venv = workspace.target.join("packaging");
    let bin = venv.join("bin");
    let stamp = venv.join("installed");
    let wanted = TOOLS.join(" ");
    // Written last: an installation that broke off is made anew.
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(bin);
    }
    eprintln!("installing {wanted} into {}", venv.display());
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    let pip = ["-m", "pip", "--quiet", "--disable-pip-version-check", "install"];
    run(Command::new(bin.join("python")).args(pip).args(TOOLS))?;
    fs::write(&stamp, wanted)?;
    Ok(bin)
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let program = command.get_program().to_owned();
    let status = command.status().with_context(|| format!("cannot run {}", program.display()))?;
    ensure!(status.success(), "{} ended with {status}", program.display());
    Ok(())
}
