#include "fs/session/steady.h"

#define MINUTE ((int64_t)60 * 1000)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

static bool near(int64_t a, int64_t b)
{
	return a - b <= MINUTE && b - a <= MINUTE;
}

void steady_begin(struct steady *s, int64_t known, int64_t clock, int64_t beat)
{
	bool believed = known == STEADY_UNKNOWN || (clock >= known - MINUTE && clock <= known + DAY);

	*s = (struct steady){.time = believed ? clock : known, .beat = beat};
}

int64_t steady_now(struct steady *s, int64_t clock, int64_t beat)
{
	int64_t expected = s->time + (beat - s->beat), ahead = clock - expected;

	if (near(ahead, 0)) {
		s->doubts = false;
	} else if (!s->doubts || !near(ahead, s->ahead)) {
		s->doubts = true;
		s->ahead = ahead;
		s->since = beat;
	} else if (beat - s->since >= DAY) {
		s->doubts = false;
	}
	s->time = s->doubts ? expected : clock;
	s->beat = beat;
	return s->time;
}

void steady_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t monotonic;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

struct timespec steady_in(int64_t ms)
{
	struct timespec at;

	ms = ms < 0 ? 0 : ms > HOUR ? HOUR : ms;
	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += ms / 1000;
	at.tv_nsec += ms % 1000 * 1000000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_nsec -= 1000000000;
		at.tv_sec++;
	}
	return at;
}
