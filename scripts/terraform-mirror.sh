# To be sourced, with a folder: has terraform take its providers from a mirror on this machine, if there is one.
# TF_PLUGIN_MIRROR names it; where that is unset, it is looked for. Without one, the registry is used.

if [ -z "${TF_PLUGIN_MIRROR:-}" ]; then
    # MIRROR/registry.terraform.io/hashicorp/aws/VERSION/PLATFORM/terraform-provider-aws…
    found=$(find / -path /proc -prune -o -path '*/registry.terraform.io/hashicorp/aws/*/terraform-provider-aws*' \
        -not -path '*/.terraform/*' -print -quit 2>/dev/null || true)
    TF_PLUGIN_MIRROR=${found%%/registry.terraform.io/*}
fi
export CHECKPOINT_DISABLE=1
if [ -n "$TF_PLUGIN_MIRROR" ]; then
    cat >"$1/terraformrc" <<RC
provider_installation {
  filesystem_mirror {
    path = "$TF_PLUGIN_MIRROR"
  }
}
RC
    export TF_CLI_CONFIG_FILE=$1/terraformrc
fi
