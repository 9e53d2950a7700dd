#!/usr/bin/env bash
# Every option that --help tells stands in the manual, and the other way round.
. "$(dirname "$0")/lib.sh"
setup_folder

options() { grep -oE -e '--[a-z][a-z-]+' | sort -u; }
page=$ROOT/tools/man/scribefs.1
for verb in $("$SCRIBEFS" help | sed -nE 's/^  ([a-z]+) .*/\1/p'); do
	"$SCRIBEFS" help "$verb"
done >help
sed 's/\\-/-/g; s/\\f[A-Z]//g' "$page" >page
options <help >in-help
options <page | grep -vx -e --help -e --version >in-page
empty "in --help and not in the manual" "$(comm -23 in-help in-page)"
empty "in the manual and not in --help" "$(comm -13 in-help in-page)"

for word in ro rw backup_dir allow_other allow_root sync async cache log log_to fsname nosuid nodev noexec noatime \
	passphrase_file passphrase_command key_file recovery_key_file defaults noauto _netdev nofail; do
	check "mount option $word in the manual" grep -qw "$word" page
	check "mount option $word in --help" grep -qw "$word" help
done
exit
