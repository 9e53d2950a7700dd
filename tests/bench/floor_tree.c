#include "floor_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static ino_t last_ino;

void node_touch(struct node *node)
{
	clock_gettime(CLOCK_REALTIME, &node->attr.st_mtim);
	node->attr.st_ctim = node->attr.st_mtim;
}

struct node *node_new(mode_t mode, dev_t rdev, uid_t uid, gid_t gid)
{
	struct node *node = calloc(1, sizeof *node);
	if (!node)
		return NULL;
	node->attr.st_ino = ++last_ino;
	node->attr.st_mode = mode;
	node->attr.st_rdev = rdev;
	node->attr.st_uid = uid;
	node->attr.st_gid = gid;
	node->attr.st_nlink = S_ISDIR(mode) ? 1 : 0; /* its own "." */
	node->attr.st_blksize = 4096;
	node_touch(node);
	node->attr.st_atim = node->attr.st_mtim;
	return node;
}

static size_t hash(const char *name)
{
	uint64_t h = 14695981039346656037u;
	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 1099511628211u;
	return (size_t)h;
}

struct dentry *node_find(const struct node *dir, const char *name)
{
	if (dir->bucket_count == 0)
		return NULL;
	struct dentry *entry = dir->buckets[hash(name) % dir->bucket_count];
	while (entry && strcmp(entry->name, name) != 0)
		entry = entry->next;
	return entry;
}

static void put(struct node *dir, struct dentry *entry)
{
	struct dentry **bucket = &dir->buckets[hash(entry->name) % dir->bucket_count];
	entry->next = *bucket;
	*bucket = entry;
}

static int make_room(struct node *dir)
{
	if (dir->list_size == dir->list_capacity) {
		size_t capacity = dir->list_capacity ? 2 * dir->list_capacity : 16;
		struct dentry **list = realloc(dir->list, capacity * sizeof *list);
		if (!list)
			return -ENOMEM;
		dir->list = list;
		dir->list_capacity = capacity;
	}
	if (dir->children < dir->bucket_count)
		return 0;
	size_t count = dir->bucket_count ? 2 * dir->bucket_count : 16;
	struct dentry **buckets = calloc(count, sizeof *buckets);
	if (!buckets)
		return -ENOMEM;
	free(dir->buckets);
	dir->buckets = buckets;
	dir->bucket_count = count;
	for (size_t i = 0; i < dir->list_size; i++)
		if (dir->list[i])
			put(dir, dir->list[i]);
	return 0;
}

int node_link(struct node *dir, const char *name, struct node *node)
{
	size_t length = strlen(name);
	struct dentry *entry = malloc(sizeof *entry + length + 1);
	if (!entry || make_room(dir) < 0) {
		free(entry);
		return -ENOMEM;
	}
	memcpy(entry->name, name, length + 1);
	entry->node = node;
	entry->slot = dir->list_size;
	dir->list[dir->list_size++] = entry;
	dir->children++;
	put(dir, entry);
	node->attr.st_nlink++;
	node->parent = dir;
	if (S_ISDIR(node->attr.st_mode))
		dir->attr.st_nlink++;
	node_touch(dir);
	return 0;
}

void node_unlink(struct node *dir, struct dentry *entry)
{
	struct dentry **at = &dir->buckets[hash(entry->name) % dir->bucket_count];
	while (*at != entry)
		at = &(*at)->next;
	*at = entry->next;
	dir->list[entry->slot] = NULL;
	if (--dir->children == 0)
		dir->list_size = 0;
	entry->node->attr.st_nlink--;
	if (S_ISDIR(entry->node->attr.st_mode)) {
		entry->node->attr.st_nlink--;
		dir->attr.st_nlink--;
	}
	node_touch(dir);
	clock_gettime(CLOCK_REALTIME, &entry->node->attr.st_ctim);
	free(entry);
}

void node_settle(struct node *node)
{
	if (node->nlookup > 0 || node->attr.st_nlink > 0)
		return;
	free(node->data);
	free(node->buckets);
	free(node->list);
	free(node);
}

int node_resize(struct node *file, size_t size)
{
	if (size > file->capacity) {
		size_t capacity = file->capacity * 2 > size ? file->capacity * 2 : size;
		char *data = realloc(file->data, capacity);
		if (!data)
			return -ENOMEM;
		file->data = data;
		file->capacity = capacity;
	}
	size_t old = (size_t)file->attr.st_size;
	if (size > old)
		memset(file->data + old, 0, size - old);
	file->attr.st_size = (off_t)size;
	file->attr.st_blocks = (blkcnt_t)((size + 511) / 512);
	return 0;
}
