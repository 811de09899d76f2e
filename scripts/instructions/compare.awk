# Compares counts with the baseline: compare.awk BASELINE MADE-WITH NOW. Lines are `NAME = VALUE`, of what the counts were
# made with, or `CASE COUNT`. `group` takes the cases that begin with it. Fails where a case takes more than the tolerance allows, or is in one of them alone.

FNR == 1 { file++ }
/^#/ || NF == 0 { next }

$2 == "=" {
    name = $1
    value = $0
    sub(/^[^=]*= */, "", value)
    if (file == 1) {
        was[name] = value
    } else if (was[name] != value) {
        other = other sprintf("  %s: baseline %s, here %s\n", name, was[name] == "" ? "(none)" : was[name], value == "" ? "(none)" : value)
        allowed = (name == "target" || allowed == target) ? target : toolchain
    }
    next
}

file == 1 && substr($1, 1, length(group)) == group { base[$1] = $2 }
file == 1 { next }

file == 3 {
    if (!head++) {
        if (allowed == "") allowed = tolerance
        else printf "the baseline was made with other tools, so up to %s%% is tolerated instead of %s%%:\n%s", allowed, tolerance, other
        printf "%-32s %14s %14s %9s\n", "case", "baseline", "now", "change"
    }
    seen[$1] = 1
    if (!($1 in base)) {
        printf "%-32s %14s %14d %9s  NEW\n", $1, "-", $2, "-"
        failures[++failed] = $1 " is not in the baseline"
        next
    }
    change = ($2 - base[$1]) * 100 / base[$1]
    mark = ""
    if (change > allowed) {
        mark = "  MORE"
        failures[++failed] = sprintf("%s: %d instructions, %d in the baseline: %+.2f%%, more than %s%%", $1, $2, base[$1], change, allowed)
    } else if (change < -allowed) {
        mark = "  LESS"
        less++
    }
    printf "%-32s %14d %14d %+8.2f%%%s\n", $1, base[$1], $2, change, mark
}

END {
    for (name in base) if (!(name in seen)) failures[++failed] = name " is in the baseline and is no case any more"
    if (less) printf "%d took less than the tolerance: record it with --update, or a later loss is not seen\n", less
    if (!failed) exit 0
    fflush()
    for (n = 1; n <= failed; n++) print "FAILED " failures[n] > "/dev/stderr"
    print "mend it, or state why it is worth it in a commit with the baseline that scripts/instructions.sh --update writes" > "/dev/stderr"
    exit 1
}
