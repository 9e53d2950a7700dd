/* Backups: sharing, verification, mending, restoring, what a crash leaves. */
#include "tests/kv/store.h"

#include "kv/backup/backup.h"

#include <dirent.h>

static char folder[112];

static void start_with_records(void)
{
	start(ON_ROCKS);
	snprintf(folder, sizeof folder, "%s/backups", dir);
	for (int i = 0; i < 50; i++) {
		char name[16], value[400];
		struct kv_txn *txn = begin();
		snprintf(name, sizeof name, "k%03d", i);
		for (size_t at = 0; at < sizeof value; at++)
			value[at] = (char)('a' + (at * 7 + (size_t)i * 13) % 26);
		value[sizeof value - 1] = 0;
		ok(insert(txn, KV_DATA, name, value));
		ok(commit(txn));
	}
	put_now("a", "1");
}

static struct kv_state state_now(void)
{
	struct kv_state state;
	kv_get_state(kv, &state);
	return state;
}

static struct backup_info info_of(const char *name)
{
	struct backup_info info;
	ok(backup_get(folder, name, &info));
	return info;
}

static struct backup_report check_with(const char *name, struct kv *with)
{
	struct backup_report report;
	ok(backup_verify(folder, name, &(struct backup_check){.kv = with, .store = store}, NULL, &report));
	return report;
}

/* The path of the largest table of @name. */
static void table_of(const char *name, char path[400])
{
	char db[200];
	off_t most = -1;
	snprintf(db, sizeof db, "%s/%s/db", folder, name);
	DIR *d = opendir(db);
	ck_assert_ptr_nonnull(d);
	for (struct dirent *e; (e = readdir(d));) {
		struct stat st;
		char one[400];
		if (!strstr(e->d_name, ".sst"))
			continue;
		snprintf(one, sizeof one, "%s/%.100s", db, e->d_name);
		ok(stat(one, &st));
		if (st.st_size > most) {
			most = st.st_size;
			strcpy(path, one);
		}
	}
	closedir(d);
	ck_assert_int_gt(most, 0);
}

static void flip(const char *path, off_t at)
{
	char c;
	int fd = open(path, O_RDWR);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pread(fd, &c, 1, at), 1);
	c ^= 1;
	ck_assert_int_eq(pwrite(fd, &c, 1, at), 1);
	close(fd);
}

/* So that the file is no hard link any more. */
static void copy_apart(const char *path)
{
	char command[1000];
	snprintf(command, sizeof command, "cp '%s' '%s.x' && mv '%s.x' '%s'", path, path, path, path);
	ok(system(command));
}

START_TEST(a_backup_is_a_store_that_is_only_read)
{
	char path[250];
	struct kv *original;
	struct kv_unlock as;

	start_with_records();
	ok(backup_create(kv, folder, "one", NULL));
	fails(backup_create(kv, folder, "one", NULL), -EEXIST);
	fails(backup_create(kv, folder, ".one", NULL), -EINVAL);
	fails(backup_create(kv, folder, "a/b", NULL), -EINVAL);
	put_now("a", "2");
	snprintf(path, sizeof path, "%s/one", folder);
	ck_assert(backup_is(path) && !backup_is(store));
	original = kv;
	as = kv_unlock_as(original);
	ok(kv_open(path, &as, NULL, &kv));
	ck_assert(state_now().read_only && state_now().backup && !state_now().mark_lost);
	holds("a", "1");
	shut();
	kv = original;
	holds("a", "2");
	ck_assert_int_eq(info_of("one").state, BACKUP_COMPLETE);
	ck_assert_int_eq(info_of("one").verified, 0);
	ck_assert_uint_eq(check_with("one", kv).bad, 0);
	ck_assert_int_gt(info_of("one").verified, 0);
	finish();
}
END_TEST

/* How many files of two backups hold the same; each of them must be one file. */
static int shared(const char *first, const char *second)
{
	char db[200];
	int n = 0;
	snprintf(db, sizeof db, "%s/%s/db", folder, first);
	DIR *d = opendir(db);
	ck_assert_ptr_nonnull(d);
	for (struct dirent *e; (e = readdir(d));) {
		char a[400], b[400], command[1000];
		struct stat x, y;
		snprintf(a, sizeof a, "%s/%.100s", db, e->d_name);
		snprintf(b, sizeof b, "%s/%s/db/%.100s", folder, second, e->d_name);
		snprintf(command, sizeof command, "cmp -s '%s' '%s'", a, b);
		if (e->d_name[0] == '.' || system(command) != 0)
			continue;
		ok(stat(a, &x));
		ok(stat(b, &y));
		ck_assert_uint_eq(x.st_ino, y.st_ino);
		n++;
	}
	closedir(d);
	return n;
}

START_TEST(what_is_the_same_is_shared)
{
	struct backup_info *list;
	size_t n;

	start_with_records();
	ok(backup_create(kv, folder, "one", NULL));
	put_now("a", "2");
	ok(backup_create(kv, folder, "two", NULL));
	ck_assert_int_gt(shared("one", "two"), 0);
	ok(backup_list(folder, &list, &n));
	ck_assert_uint_eq(n, 2);
	ck_assert_str_eq(list[0].name, "one");
	ck_assert_uint_ge(list[1].sequence, list[0].sequence + 1);
	ck_assert_uint_lt(list[1].own, list[1].bytes);
	free(list);
	ok(backup_drop(folder, "one"));
	fails(backup_drop(folder, "one"), -ENOENT);
	ck_assert_uint_eq(check_with("two", kv).bad, 0);
	finish();
}
END_TEST

START_TEST(the_same_content_is_shared_whatever_its_file)
{
	char path[300];

	start_with_records();
	ok(backup_create(kv, folder, "one", NULL));
	snprintf(path, sizeof path, "%s/one/db/CURRENT", folder);
	copy_apart(path); /* as after a restore, or on another disk */
	ok(backup_create(kv, folder, "two", NULL));
	ck_assert_int_gt(shared("one", "two"), 0);
	finish();
}
END_TEST

START_TEST(another_disk_gets_each_file_once)
{
	char shm[] = "/dev/shm/scribefs-backup-XXXXXX";
	struct stat a, b;

	start_with_records();
	ck_assert_ptr_nonnull(mkdtemp(shm));
	ok(stat(shm, &a));
	ok(stat(store, &b));
	if (a.st_dev != b.st_dev) {
		snprintf(folder, sizeof folder, "%s/b", shm);
		ok(backup_create(kv, folder, "one", NULL));
		put_now("a", "2");
		ok(backup_create(kv, folder, "two", NULL));
		ck_assert_int_gt(shared("one", "two"), 0);
		ck_assert_uint_eq(check_with("one", kv).bad + check_with("two", kv).bad, 0);
		char left[120];
		snprintf(left, sizeof left, "%s/backup.tmp", store);
		ck_assert_int_lt(access(left, F_OK), 0);
	}
	ok(suite_remove(shm));
	finish();
}
END_TEST

START_TEST(a_flipped_byte_is_found_and_marks_all_that_share_it)
{
	char table[400];
	struct backup_report report;
	struct kv_unlock wrong = {.type = KEYRING_PASSPHRASE, .secret = "wrong", .secret_len = 5};

	start_with_records();
	ok(backup_create(kv, folder, "one", NULL));
	ok(backup_create(kv, folder, "two", NULL));
	shut(); /* its tables go when the store is compacted; here they just are the same files */
	table_of("two", table);
	flip(table, 40);
	fails(backup_verify(folder, "two", &(struct backup_check){.unlock = &wrong}, NULL, &report), -EKEYREJECTED);
	ok(backup_verify(folder, "two", &(struct backup_check){.unlock = &pass}, NULL, &report));
	ck_assert_uint_eq(report.bad, 1);
	ck_assert_uint_eq(report.mended, 0);
	ck_assert_uint_eq(report.others, 1);
	ck_assert_int_eq(info_of("one").state, BACKUP_DAMAGED);
	ck_assert_int_eq(info_of("two").state, BACKUP_DAMAGED);
	char to[112];
	snprintf(to, sizeof to, "%s/new", dir);
	fails(backup_restore(folder, "two", to, NULL), -EBADMSG);
	ck_assert_int_lt(access(to, F_OK), 0);
	finish();
}
END_TEST

START_TEST(a_bad_file_is_mended_from_a_good_holder)
{
	char table[400];
	struct backup_report report;

	start_with_records();
	ok(backup_create(kv, folder, "one", NULL));
	ok(backup_create(kv, folder, "two", NULL));
	ok(backup_create(kv, folder, "three", NULL));
	table_of("one", table);
	copy_apart(table);
	table_of("two", table); /* shared with three and the store */
	flip(table, 40);
	report = check_with("two", NULL);
	ck_assert_uint_eq(report.bad, 1);
	ck_assert_uint_eq(report.mended, 1);
	ck_assert_uint_eq(report.others, 1);
	ck_assert_int_eq(info_of("two").state, BACKUP_COMPLETE);
	ck_assert_uint_eq(check_with("two", NULL).bad, 0);
	ck_assert_uint_eq(check_with("three", NULL).bad, 0);
	flip(table, 41);
	ck_assert_uint_eq(check_with("three", NULL).mended, 1);
	finish();
}
END_TEST

START_TEST(what_it_says_of_itself_is_authentic)
{
	static const char *const files[] = {"complete", "manifest", "sources", "keyring"};
	char path[300];
	struct stat st;

	start_with_records();
	ok(backup_create(kv, folder, "one", NULL));
	ok(backup_create(kv, folder, "base", NULL));
	for (size_t f = 0; f < 4; f++) {
		snprintf(path, sizeof path, "%s/one/%s", folder, files[f]);
		ok(stat(path, &st));
		for (off_t at = 0; at < st.st_size; at += 1 + st.st_size / 97) {
			flip(path, at);
			ck_assert_msg(check_with("one", kv).bad == 1, "%s, byte %ld", files[f], (long)at);
			flip(path, at);
		}
	}
	ck_assert_uint_eq(check_with("one", kv).bad, 0);
	finish();
}
END_TEST

START_TEST(a_restored_one_is_a_store)
{
	char to[112];

	start_with_records();
	ok(backup_create(kv, folder, "one", NULL));
	put_now("a", "2");
	shut();
	snprintf(to, sizeof to, "%s/new", dir);
	ok(backup_restore(folder, "one", to, NULL));
	fails(backup_restore(folder, "one", to, NULL), -ENOTEMPTY);
	ok(kv_open(to, &pass, &(struct kv_options){0}, &kv));
	ck_assert(!state_now().read_only && !state_now().damaged);
	holds("a", "1");
	ok(kv_verify_sum(kv));
	put_now("a", "3");
	finish();
}
END_TEST

static int calls;
static void stop_at_third(void *arg, uint64_t done, uint64_t total)
{
	(void)done;
	(void)total;
	if (++calls == 3)
		atomic_store((_Atomic bool *)arg, true);
}

START_TEST(half_made_ones_are_shown_and_cleaned)
{
	char path[300];
	unsigned n;
	_Atomic bool stop = false;
	struct backup_watch watch = {.progress = stop_at_third, .arg = &stop, .stop = &stop};

	start_with_records();
	fails(backup_create(kv, folder, "one", &watch), -ECANCELED);
	snprintf(path, sizeof path, "%s/one", folder);
	ck_assert_int_lt(access(path, F_OK), 0);
	ok(backup_create(kv, folder, "two", NULL));
	ok(backup_create(kv, folder, "three", NULL));
	snprintf(path, sizeof path, "%s/two/complete", folder);
	ok(unlink(path)); /* what a crash leaves */
	snprintf(path, sizeof path, "%s/mine", folder);
	ok(mkdir(path, 0700));
	snprintf(path, sizeof path, "%s/mine/note", folder);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	ck_assert_int_eq(info_of("two").state, BACKUP_HALF_MADE);
	fails(backup_verify(folder, "two", &(struct backup_check){0}, NULL, &(struct backup_report){0}), -EAGAIN);
	ok(backup_clean(folder, &n));
	ck_assert_uint_eq(n, 1);
	ck_assert_int_eq(access(path, F_OK), 0);
	ck_assert_int_eq(info_of("three").state, BACKUP_COMPLETE);
	fails(backup_get(folder, "two", &(struct backup_info){0}), -ENOENT);
	finish();
}
END_TEST

START_TEST(a_folder_is_of_one_store)
{
	char other[112], first_folder[112];
	struct keyring_init init = {
		.cipher = KV_CIPHER_XCHACHA20_POLY1305, .first = pass, .opslimit = 1, .memlimit = 8192};

	start_with_records();
	ok(backup_create(kv, folder, "one", NULL));
	shut();
	strcpy(first_folder, folder);
	snprintf(other, sizeof other, "%s/other", dir);
	ok(keyring_create(other, &init, NULL));
	ok(kv_open(other, &pass, NULL, &kv));
	fails(backup_create(kv, first_folder, "two", NULL), -EXDEV);
	ck_assert_int_eq(info_of("one").state, BACKUP_COMPLETE);
	finish();
}
END_TEST

START_TEST(new_slots_reach_the_backups)
{
	struct kv_unlock added = {.type = KEYRING_PASSPHRASE, .secret = "another", .secret_len = 7};
	char path[250];
	struct kv *backup;

	start_with_records();
	ok(backup_create(kv, folder, "one", NULL));
	ok(keyring_slot_change(store, &pass, -1, &added));
	ok(backup_update_slots(folder, store, &pass)); /* the old one, which the store has not any more */
	ok(backup_update_slots(folder, store, &added));
	snprintf(path, sizeof path, "%s/one", folder);
	fails(kv_open(path, &pass, NULL, &backup), -EKEYREJECTED);
	ok(kv_open(path, &added, NULL, &backup));
	ok(kv_close(backup));
	ck_assert_uint_eq(check_with("one", kv).bad, 0);
	finish();
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("backup");
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_backup_is_a_store_that_is_only_read);
	tcase_add_test(t, what_is_the_same_is_shared);
	tcase_add_test(t, the_same_content_is_shared_whatever_its_file);
	tcase_add_test(t, another_disk_gets_each_file_once);
	tcase_add_test(t, a_flipped_byte_is_found_and_marks_all_that_share_it);
	tcase_add_test(t, a_bad_file_is_mended_from_a_good_holder);
	tcase_add_test(t, what_it_says_of_itself_is_authentic);
	tcase_add_test(t, a_restored_one_is_a_store);
	tcase_add_test(t, half_made_ones_are_shown_and_cleaned);
	tcase_add_test(t, a_folder_is_of_one_store);
	tcase_add_test(t, new_slots_reach_the_backups);
	return run_case("backup", t);
}
