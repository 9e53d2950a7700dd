#!/usr/bin/env bash
# The command line itself: help, version, wrong use, output that cannot be written.
. "$(dirname "$0")/lib.sh"
setup_folder

check "help" "$SCRIBEFS" help
same "--help is help" "$("$SCRIBEFS" help)" "$("$SCRIBEFS" --help)"
verbs=$("$SCRIBEFS" help | sed -nE 's/^  ([a-z]+) .*/\1/p')
same "the verbs" "init mount umount new import status key snapshot restore diff context resume fork cleanup backup set get inherit fsck help" "$(echo $verbs)"
for verb in $verbs; do
	check "$verb --help" "$SCRIBEFS" "$verb" --help
	same "help $verb" "$("$SCRIBEFS" "$verb" -h)" "$("$SCRIBEFS" help "$verb")"
	check "$verb tells its usage" grep -q "^Usage: scribefs $verb" <("$SCRIBEFS" help "$verb")
	misused "$verb: an option that does not exist" "'--nonsense'" "$SCRIBEFS" "$verb" --nonsense
done
check "--version" grep -qE '^scribefs [0-9]+\.[0-9]+\.[0-9]+$' <("$SCRIBEFS" --version)

misused "no verb" "scribefs help" "$SCRIBEFS"
misused "a typo in a verb" "did you mean 'scribefs mount'" "$SCRIBEFS" mout
misused "no such verb" "no verb 'frobnicate'" "$SCRIBEFS" frobnicate
misused "help on no such verb" "no verb 'x'" "$SCRIBEFS" help x
misused "an argument is missing" "STORE" "$SCRIBEFS" init
misused "an argument too many" "too many" "$SCRIBEFS" umount a b
misused "an option's argument is missing" "--cipher" "$SCRIBEFS" init store --cipher
misused "no such cipher" "rot13" "$SCRIBEFS" init store --cipher rot13
misused "two secrets" "more than one" "$SCRIBEFS" init store --key-file a --passphrase-file b
misused "no such mount option" "'frob'" "$SCRIBEFS" mount store mnt -o ro,frob
misused "a bad size" "cache" "$SCRIBEFS" mount store mnt -o cache=12x
misused "a bad level" "log" "$SCRIBEFS" mount store mnt -o log=loud
misused "remount" "remount" "$SCRIBEFS" mount store mnt -o remount,rw
misused "allow_other and allow_root" "exclude" "$SCRIBEFS" mount store mnt -o allow_root -o allow_other
misused "no such key action" "frob" "$SCRIBEFS" key frob store
misused "a bad slot" "'x'" "$SCRIBEFS" key remove store x

# What mount(8) and fstab pass is no reason to refuse: it is the store that is missing here.
accepted=rw,auto,noauto,user,nouser,users,owner,group,_netdev,nofail,defaults,suid,dev,exec,atime
accepted=$accepted,relatime,async,x-systemd.automount,X-mount.mkdir,comment=x,user=ann,,
refused "mount(8)'s own options" "$SCRIBEFS" mount "$STORE" "$MNT" -o "$accepted"
says "they were taken" "no store"

"$SCRIBEFS" help >/dev/full 2>"$W/.stderr"
same "a full disk is no success" 1 $?
same "nothing was made" "mnt" "$(ls "$W")"
exit
