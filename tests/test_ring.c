/* The ring of dense tensors: what is acquired has the file's bytes and keeps them until it is released, whatever the disk does. */
#include "tests/stream_disk.h"

#include "sched/ring.h"

enum { MAX_UNIT = 9, MAX_HELD = 3 };

struct bench {
    struct disk disk;
    struct device *dev;
    struct readers *readers;
    struct source units[MAX_UNIT];
    struct ring ring;
    struct ref held[MAX_HELD];
    uint32_t held_unit[MAX_HELD], n_held;
};

static void lay_out_units(struct bench *b, uint32_t n_unit, uint64_t *longest) {
    uint64_t at = 17;
    *longest = 0;
    for (uint32_t i = 0; i < n_unit; i++) {
        uint64_t len = i % 3 == 1 ? 1 + support_random(5000) : 3000 + support_random(60000);
        if (i == 0) len = READ_GUESS_BYTES + 12345; /* more than one piece when cut small */
        b->units[i] = (struct source){&b->disk.file, at, len};
        at += len + support_random(3000);
        if (len > *longest) *longest = len;
    }
    CHECK(at <= b->disk.n);
}

static void bench_open(struct bench *b, uint32_t n_unit, uint32_t n_slot, uint32_t n_reader, const char *mood, bool direct) {
    uint64_t longest;
    *b = (struct bench){0};
    disk_open(&b->disk, "units", 3 << 20);
    b->dev = support_cpu(CPU_SCALAR);
    disk_fault(mood);
    OK(readers_open(&(struct readers_options){.n_reader = n_reader, .direct = direct}, &b->readers, &support_err));
    lay_out_units(b, n_unit, &longest);
    uint64_t slot = (longest + IO_PAGE - 1) / IO_PAGE * IO_PAGE + 2 * IO_PAGE;
    OK(ring_init(&b->ring, b->dev, b->readers, b->units, n_unit, n_slot, slot, 0, &support_err));
}

static void bench_close(struct bench *b) {
    ring_deinit(&b->ring);
    readers_close(b->readers);
    device_close(b->dev);
    disk_fault(NULL);
    disk_close(&b->disk);
}

static void check_held(const struct bench *b, const char *when) {
    for (uint32_t i = 0; i < b->n_held; i++) {
        const struct source *u = &b->units[b->held_unit[i]];
        disk_same(&b->disk, ref_host(b->held[i]), u->offset, u->len, when);
    }
}

static void settle_reads(struct bench *b) {
    for (uint64_t use = b->ring.acquired; use < b->ring.submitted; use++) {
        struct read_job *j = &b->ring.slots[use % b->ring.n_slot].job;
        while (!readers_ended(b->readers, j)) readers_wait(b->readers, j, 1, NULL);
    }
}

/* Acquires the units of one step in layers of up to n_layer units. Ends with the first error. */
static int run_step(struct bench *b, uint32_t n_layer, struct err *e) {
    for (uint32_t unit = 0; unit < b->ring.n_unit;) {
        b->n_held = 0;
        for (uint32_t i = 0; i < n_layer && unit < b->ring.n_unit; i++, unit++) {
            uint64_t waited;
            int rc = ring_acquire(&b->ring, unit, &b->held[b->n_held], &waited, e);
            if (rc) return rc;
            b->held_unit[b->n_held++] = unit;
            check_held(b, "acquired");
        }
        if (support_random(4) == 0) settle_reads(b); /* reads ahead have gone as far as they may */
        check_held(b, "before release");
        b->n_held = 0;
        ring_release(&b->ring, 0);
    }
    return ERR_OK;
}

/* Every number of units and slots, also more slots than units. */
static void every_size(void **state) {
    for (uint32_t n_unit = 1; n_unit <= MAX_UNIT; n_unit++)
        for (uint32_t n_slot = 3; n_slot <= 8; n_slot += 1 + (n_unit + n_slot) % 2) {
            struct bench b;
            bench_open(&b, n_unit, n_slot, 1 + (n_unit + n_slot) % 9, disk_moods[(n_unit + n_slot) % LEN(disk_moods)], n_unit % 2);
            for (uint32_t step = 0; step < 4; step++) OK(run_step(&b, 1 + step % 3, &support_err));
            assert_int_equal(b.ring.acquired, 4 * n_unit);
            assert_true(b.ring.submitted - b.ring.released == n_slot); /* reads run ahead as far as there are slots */
            bench_close(&b);
        }
}

/* The n-th read fails, for every n of two steps: one step fails, what is read again is right, and no read is lost. */
static void every_failure(void **state) {
    for (uint32_t n_slot = 3; n_slot <= 6; n_slot += 3)
        for (uint32_t n = 1; n <= 26; n++) {
            struct bench b;
            char text[32];
            struct err e = {0};
            uint32_t n_failed = 0;
            bench_open(&b, 7, n_slot, 2, NULL, true);
            snprintf(text, sizeof text, "poison,eio=%u", n);
            disk_fault(text);
            for (uint32_t step = 0; step < 3; step++) {
                int rc = run_step(&b, 3, &e);
                if (!rc) continue;
                support_refused(rc, ERR_IO, &e, (const char *const[]){"units", "failed"}, 2, __LINE__);
                n_failed++;
                ring_reset(&b.ring);
            }
            if (n == 1) assert_int_equal(n_failed, 3);
            settle_reads(&b);
            disk_fault(NULL);
            for (uint32_t step = 0; step < 2; step++) OK(run_step(&b, 2, &support_err)); /* also what failed while read ahead */
            bench_close(&b);
        }
}

/* Closing, and beginning again, with reads of every state under way. */
static void early_end(void **state) {
    for (uint32_t round = 0; round < 24; round++) {
        struct bench b;
        uint64_t waited;
        bench_open(&b, 5, 3 + round % 4, 3, "poison,delay=2ms", round % 2);
        ring_pump(&b.ring);
        for (uint32_t i = 0; i < round % 4 && i < 3; i++) OK(ring_acquire(&b.ring, i, &b.held[0], &waited, &support_err));
        if (round % 3) {
            ring_reset(&b.ring);
            OK(run_step(&b, 3, &support_err));
        }
        bench_close(&b);
    }
}

int main(int argc, char **argv) {
    support_init(argv[0]);
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_size), cmocka_unit_test(every_failure), cmocka_unit_test(early_end)};
    return support_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
