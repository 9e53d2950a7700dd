#!/usr/bin/env bash
# init and key: every way to give a secret, and what is refused.
. "$(dirname "$0")/lib.sh"
setup_folder
printf 'correct horse\n' >pw
printf 'correct horse' >pw-bare
printf 'another one\n' >pw2
s() { "$SCRIBEFS" "$@"; }

recovery=$(s init "$STORE" --passphrase-file pw 2>err)
same "init" 0 $?
empty "it says nothing else" "$(cat err)"
same "the recovery key is shown, with a line about it" 2 "$(wc -l <<<"$recovery")"
tail -n 1 <<<"$recovery" >recovery
same "the store is private" 700 "$(stat -c %a "$STORE")"
same "the keyring is private" 600 "$(stat -c %a "$STORE/keyring")"
same "slots" "0:passphrase 1:recovery" "$(key_types)"
check_not "nothing of the passphrase on disk" grep -rq "correct" "$STORE"

refused "init of a store that is there" "$SCRIBEFS" init "$STORE" --passphrase-file pw
mkdir other && touch other/file
refused "init in a directory with files" "$SCRIBEFS" init other --passphrase-file pw
refused "init below nothing" "$SCRIBEFS" init nowhere/store --passphrase-file pw
refused "init with an empty passphrase" "$SCRIBEFS" init new --passphrase-file /dev/null
check_not "nothing is left of it" test -e new/keyring
refused "init with a short key file" "$SCRIBEFS" init new --key-file pw
refused "init with a missing file" "$SCRIBEFS" init new --passphrase-file missing
refused "init without secret and terminal" setsid "$SCRIBEFS" init new
refused "init with a failing command" "$SCRIBEFS" init new --passphrase-command 'echo x; exit 3'
says "the status is told" "status 3"

# Each of these opens the store, and adds a slot to show it.
add() { check "$1" "$SCRIBEFS" key add "$STORE" "${@:2}"; }
add "a passphrase without newline; a new key file" --passphrase-file pw-bare --new-key-file key
same "the key file is private" 600 "$(stat -c %a key)"
same "the key file's size" 32 "$(stat -c %s key)"
add "a key file; a passphrase by command" --key-file key --new-passphrase-command 'cat pw2' --label 'on my desk'
same "the label" '"on my desk"' "$(s key list "$STORE" --json | grep -o '"on my desk"')"
add "a recovery key from a file; the same key file again" --recovery-key-file recovery --new-key-file key
tr 'A-Z-' 'a-z ' <recovery >recovery2
add "small letters and blanks; a recovery key" --recovery-key-file recovery2 --new-recovery-key
check "a passphrase on standard input" sh -c '"$1" key remove "$2" 5 --passphrase-file - <pw2' - "$SCRIBEFS" "$STORE"
mkdir cred && cp key cred/scribefs.keyfile
check "a credential" env CREDENTIALS_DIRECTORY="$W/cred" "$SCRIBEFS" key remove "$STORE" 4
cp pw2 cred/scribefs.passphrase
check "a passphrase as a credential" env CREDENTIALS_DIRECTORY="$W/cred" "$SCRIBEFS" key change "$STORE" \
	--slot 2 --new-key-file key3
same "slots" "0:passphrase 1:recovery 2:key-file 3:passphrase" "$(key_types)"

refused "the key file that was replaced" "$SCRIBEFS" key add "$STORE" --key-file key --new-key-file key4
check_not "the new key file is not left" test -e key4
refused "a wrong passphrase" "$SCRIBEFS" key remove "$STORE" 3 --passphrase-file recovery
says "that is what it says" "wrong passphrase"
sed 's/^./0/; s/^0\(.*\)\(.\)$/0\10/' recovery >typo
refused "a recovery key with a typing error" "$SCRIBEFS" key remove "$STORE" 3 --recovery-key-file typo
refused "a slot that is free" "$SCRIBEFS" key remove "$STORE" 9 --key-file key3
refused "a file that is no key" "$SCRIBEFS" key remove "$STORE" 3 --key-file pw
misused "standard input twice" "standard input" "$SCRIBEFS" key add "$STORE" --passphrase-file - --new-passphrase-file -
refused "no such store" "$SCRIBEFS" key list missing
refused "a store that is none" "$SCRIBEFS" key list other
same "slots" "0:passphrase 1:recovery 2:key-file 3:passphrase" "$(key_types)"

check "remove" s key remove "$STORE" 3 --key-file key3
check "remove" s key remove "$STORE" 1 --key-file key3
check "remove the slot that opened it" s key remove "$STORE" 2 --key-file key3
refused "the last one" "$SCRIBEFS" key remove "$STORE" 0 --passphrase-file pw
refused "no such key file" "$SCRIBEFS" init "$STORE.new" --key-file nokey
check "and it says how to have one" grep -q -e "--new-key-file" "$W/.stderr"
check "a change" s key change "$STORE" --passphrase-file pw --new-passphrase-file pw2
refused "the old passphrase" "$SCRIBEFS" key change "$STORE" --passphrase-file pw --new-key-file key
check "the new one" s key change "$STORE" --passphrase-file pw2 --new-key-file key
same "slots" "0:key-file" "$(key_types)"
refused "no passphrase to ask for" setsid "$SCRIBEFS" key remove "$STORE" 0
says "it names the option" "--key-file"

cp "$STORE/keyring" keyring
python3 -c '
import sys
data = bytearray(open(sys.argv[1], "rb").read())
data[len(data) // 2] ^= 1
open(sys.argv[2], "wb").write(data)' keyring "$STORE/keyring"
refused "a damaged keyring" "$SCRIBEFS" key change "$STORE" --key-file key --new-key-file key5
cp keyring "$STORE/keyring"
check "put back" s key change "$STORE" --key-file key --new-key-file key5

# On a terminal: asked twice, nothing of it shown.
typed() {
	on_terminal "$SCRIBEFS" init typed --no-recovery-key -- secret1 secret1 >shown
	same "init on a terminal" 0 $?
	check_not "no echo" grep -q secret1 shown
	same "asked twice" 2 "$(tr '\r' '\n' <shown | grep -c ': ')"
	on_terminal "$SCRIBEFS" init typed2 -- secret1 secret2 >shown
	same "two that differ" 1 $?
	check_not "made nothing" test -e typed2
	on_terminal "$SCRIBEFS" key add typed --new-recovery-key -- secret1 >shown
	same "asked for once" 0 $?
	grep -oE '([0-9A-Z]{4}-){4,}[0-9A-Z]+' shown >recovery
	on_terminal "$SCRIBEFS" key remove typed 0 --recovery-key -- "$(cat recovery)" >shown
	same "a recovery key that is typed" 0 $?
	on_terminal "$SCRIBEFS" key add typed --recovery-key --new-recovery-key -- 0000 >shown
	same "one that is wrong" 1 $?
}
! have_terminals || typed

if grep -qw aes /proc/cpuinfo; then
	check "AES-256-GCM" s init aes --cipher aes-256-gcm --key-file key5 --no-recovery-key
	check "its name" grep -q aes-256-gcm <(s status aes)
fi
exit
