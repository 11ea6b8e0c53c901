#include <inttypes.h>

#include "tools/trace_view.h"

/* The page's files lie in the program as they are. Mach-O and ELF name sections and symbols differently. */
#ifdef __APPLE__
#define DATA_SECTION ".section __TEXT,__const\n"
#define SYMBOL(name) "_" #name
#else
#define DATA_SECTION ".section .rodata\n"
#define SYMBOL(name) #name
#endif
#define EMBED(name, path)                                                                                                      \
    extern const char name[], name##_end[];                                                                                    \
    __asm__(DATA_SECTION ".globl " SYMBOL(name) "\n" SYMBOL(name) ":\n.incbin \"" path "\"\n.globl " SYMBOL(name##_end) "\n"   \
            SYMBOL(name##_end) ":\n.byte 0\n.text\n")

EMBED(trace_page_html, "tools/trace_page.html");
EMBED(trace_page_css, "tools/trace_page.css");
EMBED(trace_page_data, "tools/trace_page_data.js");
EMBED(trace_page_lanes, "tools/trace_page_lanes.js");
EMBED(trace_page_moves, "tools/trace_page_moves.js");
EMBED(trace_page_js, "tools/trace_page.js");

#define PUT(f, name) fwrite(name, 1, (size_t)(name##_end - name), f)

/* The events of one kind as a flat array of numbers: each begins with the nanoseconds since the one before, and lasts the second number. */
static void put_events(FILE *f, const struct trace_view *v, enum trace_kind kind, void (*put_rest)(FILE *, const struct trace_event *)) {
    uint64_t at = v->log.events[0].t0_ns;
    bool first = true;
    fprintf(f, "\"%s\":[", trace_kind_name(kind));
    for (uint64_t i = 0; i < v->log.n; i++) {
        const struct trace_event *ev = &v->log.events[i];
        if (ev->kind != kind) continue;
        fprintf(f, "%s%" PRIu64 ",%" PRIu64 ",", first ? "" : ",", ev->t0_ns - at, ev->t1_ns - ev->t0_ns);
        put_rest(f, ev);
        at = ev->t0_ns;
        first = false;
    }
    fputs("]", f);
}

static void put_step(FILE *f, const struct trace_event *ev) { fprintf(f, "%" PRIu32 ",%" PRIu32, ev->step, ev->n); }
static void put_compute(FILE *f, const struct trace_event *ev) { fprintf(f, "%u", ev->layer); }
static void put_wait(FILE *f, const struct trace_event *ev) { fprintf(f, "%u,%" PRIu64, ev->layer, ev->bytes); }
static int expert_of(const struct trace_event *ev) { return ev->expert == TRACE_NO_EXPERT ? -1 : ev->expert; }
static void put_read(FILE *f, const struct trace_event *ev) {
    fprintf(f, "%u,%d,%u,%u,%" PRIu32 ",%" PRIu64, ev->layer, expert_of(ev), ev->part, ev->lane, ev->n, ev->bytes);
}
static void put_instant(FILE *f, const struct trace_event *ev) { fprintf(f, "%u,%d", ev->layer, expert_of(ev)); }

void trace_html(FILE *f, const struct trace_view *v) {
    fputs("<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
          "<meta http-equiv=\"Content-Security-Policy\"\n content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
          "<meta name=\"viewport\" content=\"width=device-width\">\n<title>hy trace</title>\n<style>\n", f);
    PUT(f, trace_page_css);
    fputs("</style>\n", f);
    PUT(f, trace_page_html);
    fprintf(f, "<script type=\"application/json\" id=\"data\">\n{\"from_ns\":%" PRIu64 ",\"events\":{",
            v->log.from_ns - v->log.events[0].t0_ns);
    put_events(f, v, TRACE_STEP, put_step);
    fputc(',', f);
    put_events(f, v, TRACE_COMPUTE, put_compute);
    fputc(',', f);
    put_events(f, v, TRACE_WAIT, put_wait);
    fputc(',', f);
    put_events(f, v, TRACE_READ, put_read);
    for (int k = TRACE_HIT; k < N_TRACE_KINDS; k++) {
        fputc(',', f);
        put_events(f, v, (enum trace_kind)k, put_instant);
    }
    fputs("},\"sums\":\n", f);
    trace_json_sums(f, v);
    fputs("}</script>\n<script>\n", f);
    PUT(f, trace_page_data);
    PUT(f, trace_page_lanes);
    PUT(f, trace_page_moves);
    PUT(f, trace_page_js);
    fputs("</script>\n</html>\n", f);
}
