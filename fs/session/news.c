/*
 * news.c: what has changed among the sessions since somebody asked last.
 */
#include "fs/session/news.h"

#include "fs/session/session_internal.h"

void session_news_release(struct session_news *news)
{
	for (size_t i = 0; i < news->n_names; i++)
		free(news->names[i].name);
	free(news->names);
	free(news->containers);
	*news = (struct session_news){0};
}

void news_init(struct news *news)
{
	pthread_mutex_init(&news->lock, NULL);
}

void news_destroy(struct news *news)
{
	session_news_release(&news->since);
	pthread_mutex_destroy(&news->lock);
}

/* Room for one more of @n; else everything is to be looked at. The lock is held. */
static bool grow(struct session_news *news, void **array, size_t size, size_t n, size_t *room)
{
	if (news->all)
		return false;
	if (n < *room)
		return true;
	size_t more = *room ? *room * 2 : 64;
	void *grown = n < NEWS_MAX ? realloc(*array, more * size) : NULL;
	if (!grown) {
		session_news_release(news);
		news->all = true;
		return false;
	}
	*array = grown;
	*room = more;
	return true;
}

static void stamped(void *arg, uint32_t container)
{
	struct news *news = arg;
	struct session_news *since = &news->since;

	MUTEX_GUARD(&news->lock);
	if (news->on && grow(since, (void **)&since->containers, sizeof *since->containers, since->n_containers,
	                        &since->room_containers))
		since->containers[since->n_containers++] = container;
}

void news_named(struct sessions *s, uint64_t dir, const char *name, size_t len)
{
	struct session_news *since = &s->news.since;

	MUTEX_GUARD(&s->news.lock);
	if (!s->news.on || !grow(since, (void **)&since->names, sizeof *since->names, since->n_names,
	                           &since->room_names))
		return;
	char *copy = strndup(name, len);
	if (copy) {
		since->names[since->n_names++] = (struct news_name){.dir = dir, .name = copy};
	} else {
		session_news_release(since);
		since->all = true;
	}
}

void news_all(struct sessions *s)
{
	MUTEX_GUARD(&s->news.lock);
	session_news_release(&s->news.since);
	s->news.since.all = true;
}

void session_news_begin(struct sessions *s)
{
	pthread_mutex_lock(&s->news.lock);
	s->news.on = true;
	pthread_mutex_unlock(&s->news.lock);
	core_set_stamped(s->core, stamped, &s->news);
}

void session_news_end(struct sessions *s)
{
	core_set_stamped(s->core, NULL, NULL);
	MUTEX_GUARD(&s->news.lock);
	s->news.on = false;
	session_news_release(&s->news.since);
}

void session_news_take(struct sessions *s, struct session_news *ret_news)
{
	pthread_mutex_lock(&s->news.lock);
	*ret_news = s->news.since;
	s->news.since = (struct session_news){0};
	pthread_mutex_unlock(&s->news.lock);
	/* Those that were noted and are not in the list say so again: of all of them the next change is news. */
	if (ret_news->all)
		core_set_stamped(s->core, stamped, &s->news);
	for (size_t i = 0; i < ret_news->n_containers; i++)
		container_again(s->core, ret_news->containers[i]);
}
