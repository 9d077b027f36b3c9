/*
 * A consumer of LIES in C: move a link to a point of attachment (PoA) and wait until it is up there.
 *
 *     make && ./move /run/lies wlan0 02:00:00:00:01:05
 *
 * It registers for LinkUp of the link, is told the link's state, asks for LinkConnect as soon as the link is up
 * elsewhere, and ends with 0 at the LinkUp at the new PoA; 1 if it is refused, 2 if it is called wrongly.
 * spec/wire-protocol.md explains every message. What a long-lived daemon needs is here too: heartbeats, repair of
 * holes, and the way back after a restart of the LIES daemon.
 */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <msgpack.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

#define VERSION "LIES1"
#define MAX_FRAMES 4
#define SILENCE_MS 3000 /* a daemon not heard for this long is taken for gone */
#define HELLO_AGAIN_MS 500

enum { REGISTER_ID = 1, CONNECT_ID }; /* our numbers for requests; the daemon copies them into confirms */

struct consumer {
    const char *link, *poa;
    char endpoint[256];
    void *context, *socket;
    bool welcome;          /* the daemon answered our Hello */
    uint64_t epoch;        /* of the daemon; another one after its restart */
    int64_t heartbeat_ms;  /* as often as the daemon says */
    int64_t heard_ms, sent_ms;
    bool registered, was_registered;
    uint64_t registration; /* the daemon's number for our registration */
    uint64_t last;         /* sequence number of the last indication taken */
    uint64_t asked;        /* a repair up to this one is under way */
    bool asked_to_connect;
    int ended;             /* exit code, -1 while running */
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- msgpack: bodies are maps with the field names as keys */

static void pack_text(msgpack_packer *to, const char *text)
{
    msgpack_pack_str_with_body(to, text, strlen(text));
}

static void pack_number(msgpack_packer *to, const char *key, uint64_t value)
{
    pack_text(to, key);
    msgpack_pack_uint64(to, value);
}

static void pack_pair(msgpack_packer *to, const char *key, const char *value)
{
    pack_text(to, key);
    pack_text(to, value);
}

static bool is_text(const msgpack_object *of, const char *text)
{
    return of && of->type == MSGPACK_OBJECT_STR && of->via.str.size == strlen(text) &&
           memcmp(of->via.str.ptr, text, of->via.str.size) == 0;
}

/* The value of a key; NULL if `map` is no map or has no such key. Keys that we do not know are left alone. */
static const msgpack_object *get(const msgpack_object *map, const char *key)
{
    if (!map || map->type != MSGPACK_OBJECT_MAP)
        return NULL;
    for (uint32_t i = 0; i < map->via.map.size; i++)
        if (is_text(&map->via.map.ptr[i].key, key))
            return &map->via.map.ptr[i].val;
    return NULL;
}

static uint64_t number(const msgpack_object *of)
{
    return of && of->type == MSGPACK_OBJECT_POSITIVE_INTEGER ? of->via.u64 : 0;
}

static void print_text(const msgpack_object *of)
{
    if (of && of->type == MSGPACK_OBJECT_STR)
        for (uint32_t i = 0; i < of->via.str.size; i++) { /* names come from the air */
            unsigned char c = (unsigned char)of->via.str.ptr[i];
            putchar(c < 0x20 || c == 0x7f ? '?' : c);
        }
}

/* ---- sending: [VERSION, tag, body] */

static void say(struct consumer *c, const char *tag, const msgpack_sbuffer *body)
{
    zmq_send(c->socket, VERSION, strlen(VERSION), ZMQ_SNDMORE | ZMQ_DONTWAIT);
    zmq_send(c->socket, tag, strlen(tag), ZMQ_SNDMORE | ZMQ_DONTWAIT);
    zmq_send(c->socket, body->data, body->size, ZMQ_DONTWAIT);
}

#define SAY(c, tag, size, ...)                                   \
    do {                                                         \
        msgpack_sbuffer body;                                    \
        msgpack_packer pack, *to = &pack;                        \
        msgpack_sbuffer_init(&body);                             \
        msgpack_packer_init(to, &body, msgpack_sbuffer_write);   \
        msgpack_pack_map(to, size);                              \
        __VA_ARGS__                                              \
        say(c, tag, &body);                                      \
        msgpack_sbuffer_destroy(&body);                          \
    } while (0)

static void say_hello(struct consumer *c)
{
    SAY(c, "BUS:lies:request:hello", 2, pack_pair(to, "name", "move"); pack_pair(to, "protocol", "ipv6"););
    c->sent_ms = now_ms();
}

static void say_heartbeat(struct consumer *c)
{
    SAY(c, "BUS:lies:indication:heartbeat", 2, {
        pack_number(to, "epoch", c->epoch);
        pack_text(to, "last"); /* registration -> last sequence number received */
        msgpack_pack_map(to, c->registered ? 1 : 0);
        if (c->registered) {
            msgpack_pack_uint64(to, c->registration);
            msgpack_pack_uint64(to, c->last);
        }
    });
    c->sent_ms = now_ms();
}

static void register_for_link_up(struct consumer *c)
{
    SAY(c, "L2:*:request:link_up", 2, pack_number(to, "request_id", REGISTER_ID); pack_pair(to, "link", c->link););
}

static void connect_link(struct consumer *c)
{
    SAY(c, "L2:*:request:link_connect", 3, {
        pack_number(to, "request_id", CONNECT_ID);
        pack_pair(to, "link", c->link);
        pack_pair(to, "poa", c->poa);
    });
    c->asked_to_connect = true;
}

/* Ask for everything from the first missing one on: what comes out of order meanwhile is simply left out. */
static void repair(struct consumer *c, uint64_t up_to)
{
    if (up_to <= c->asked)
        return;
    SAY(c, "BUS:lies:request:repair", 3, {
        pack_number(to, "registration", c->registration);
        pack_number(to, "first", c->last + 1);
        pack_number(to, "last", up_to);
    });
    c->asked = up_to;
}

/* ---- receiving */

/* A new socket: nothing said to or by a former daemon comes through. */
static void begin(struct consumer *c)
{
    int none = 0, again_ms = 20;
    if (c->socket)
        zmq_close(c->socket);
    c->welcome = c->registered = c->asked_to_connect = false;
    c->socket = zmq_socket(c->context, ZMQ_DEALER);
    zmq_setsockopt(c->socket, ZMQ_LINGER, &none, sizeof none);
    zmq_setsockopt(c->socket, ZMQ_RECONNECT_IVL, &again_ms, sizeof again_ms);
    zmq_connect(c->socket, c->endpoint);
    say_hello(c);
}

static void link_is_up(struct consumer *c, const msgpack_object *poa)
{
    printf("up %s ", c->link);
    print_text(poa);
    printf("\n");
    if (is_text(poa, c->poa))
        c->ended = 0;
    else if (!c->asked_to_connect)
        connect_link(c);
}

static void refused(struct consumer *c, const char *what, const msgpack_object *body)
{
    printf("%s: ", what);
    print_text(get(body, "reason"));
    printf("\n");
    c->ended = 1;
}

static void take_confirm(struct consumer *c, const msgpack_object *body)
{
    bool ack = is_text(get(body, "result"), "ack");
    bool registering = number(get(body, "request_id")) == REGISTER_ID;
    if (!ack && registering && c->was_registered) {
        return; /* a new daemon whose driver has not announced the link yet: the next heartbeat asks again */
    } else if (!ack) {
        refused(c, "refused", body);
    } else if (registering) {
        uint64_t registration = number(get(body, "registration"));
        if (!c->registered || registration != c->registration) {
            c->registration = registration; /* its indications are numbered from 1 */
            c->last = c->asked = 0;
            printf("registered\n");
        }
        c->registered = c->was_registered = true;
    } else {
        printf("asked for %s\n", c->poa);
    }
}

static void take_snapshot(struct consumer *c, const msgpack_object *body)
{
    const msgpack_object *links = get(body, "links");
    if (!links || links->type != MSGPACK_OBJECT_ARRAY)
        return;
    for (uint32_t i = 0; i < links->via.array.size; i++) {
        const msgpack_object *state = &links->via.array.ptr[i], *up = get(state, "up");
        if (is_text(get(get(state, "link"), "name"), c->link) && up && up->type == MSGPACK_OBJECT_BOOLEAN &&
            up->via.boolean)
            link_is_up(c, get(state, "poa"));
    }
}

/* The daemon's heartbeat says what it sent last: a lost tail is noticed by it. */
static void take_heartbeat(struct consumer *c, const msgpack_object *body)
{
    const msgpack_object *last = get(body, "last");
    if (!c->registered || !last || last->type != MSGPACK_OBJECT_MAP)
        return;
    for (uint32_t i = 0; i < last->via.map.size; i++)
        if (number(&last->via.map.ptr[i].key) == c->registration && number(&last->via.map.ptr[i].val) > c->last) {
            c->asked = 0; /* whatever was asked for before did not come */
            repair(c, number(&last->via.map.ptr[i].val));
        }
}

static uint64_t big_endian(const unsigned char *octets, size_t count)
{
    uint64_t value = 0;
    while (count--)
        value = value << 8 | *octets++;
    return value;
}

/* Four frames: an indication for a registration; the fourth is its number (32 bits) and the sequence (64 bits). */
static void take_delivery(struct consumer *c, const char *name, const msgpack_object *body, const unsigned char *place)
{
    uint64_t registration = big_endian(place, 4), sequence = big_endian(place + 4, 8);
    if (!c->registered || registration != c->registration || sequence <= c->last)
        return;
    if (sequence > c->last + 1) {
        repair(c, sequence);
        return;
    }
    c->last = sequence;
    if (strcmp(name, "indication:link_up") == 0)
        link_is_up(c, get(body, "poa"));
}

static void take(struct consumer *c, const char *name, const msgpack_object *body)
{
    if (strcmp(name, "confirm:welcome") == 0) {
        if (c->welcome)
            return;
        c->welcome = true;
        c->epoch = number(get(body, "epoch"));
        c->heartbeat_ms = (int64_t)number(get(body, "heartbeat_ms"));
        register_for_link_up(c);
    } else if (strcmp(name, "confirm:refused") == 0) {
        if (is_text(get(body, "code"), "unknown_session"))
            begin(c);
        else
            refused(c, "refused", body);
    } else if (strcmp(name, "indication:goodbye") == 0) {
        begin(c);
    } else if (strcmp(name, "indication:heartbeat") == 0) {
        take_heartbeat(c, body);
    } else if (strcmp(name, "indication:snapshot") == 0) {
        take_snapshot(c, body);
    } else if (strcmp(name, "indication:gap") == 0) {
        if (number(get(body, "registration")) == c->registration && number(get(body, "last")) > c->last) {
            printf("lost %" PRIu64 "..%" PRIu64 "\n", c->last + 1, number(get(body, "last")));
            c->last = number(get(body, "last")); /* a Snapshot follows: how things are now */
        }
    } else if (strncmp(name, "confirm:", 8) == 0) {
        take_confirm(c, body);
    }
}

/* One message; false if there is none. */
static bool receive(struct consumer *c)
{
    zmq_msg_t frames[MAX_FRAMES], rest;
    int count = 0, more = 1;
    while (more) {
        zmq_msg_t *frame = count < MAX_FRAMES ? &frames[count] : &rest;
        zmq_msg_init(frame);
        if (zmq_msg_recv(frame, c->socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(frame);
            break;
        }
        more = zmq_msg_more(frame);
        if (count < MAX_FRAMES)
            count++;
        else
            zmq_msg_close(frame); /* no message of ours has as many */
    }
    if (count >= 3 && zmq_msg_size(&frames[0]) == strlen(VERSION) &&
        memcmp(zmq_msg_data(&frames[0]), VERSION, strlen(VERSION)) == 0) {
        char tag[256];
        snprintf(tag, sizeof tag, "%.*s", (int)zmq_msg_size(&frames[1]), (char *)zmq_msg_data(&frames[1]));
        char *name = strchr(tag, ':'); /* LAYER:PROTOCOL:CLASS:NAME */
        name = name ? strchr(name + 1, ':') : NULL;
        msgpack_unpacked body;
        msgpack_unpacked_init(&body);
        c->heard_ms = now_ms();
        if (name && msgpack_unpack_next(&body, zmq_msg_data(&frames[2]), zmq_msg_size(&frames[2]), NULL) ==
                        MSGPACK_UNPACK_SUCCESS) {
            if (count == 3)
                take(c, name + 1, &body.data);
            else if (zmq_msg_size(&frames[3]) == 12)
                take_delivery(c, name + 1, &body.data, zmq_msg_data(&frames[3]));
        }
        msgpack_unpacked_destroy(&body);
    }
    for (int i = 0; i < count; i++)
        zmq_msg_close(&frames[i]);
    return count > 0;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: %s DIRECTORY LINK POA\n", argv[0]);
        return 2;
    }
    struct consumer c = {.link = argv[2], .poa = argv[3], .ended = -1, .context = zmq_ctx_new()};
    snprintf(c.endpoint, sizeof c.endpoint, "ipc://%s/bus", argv[1]);
    setvbuf(stdout, NULL, _IOLBF, 0);
    begin(&c);
    while (c.ended < 0) {
        int64_t interval_ms = c.welcome ? c.heartbeat_ms : HELLO_AGAIN_MS;
        int64_t left_ms = c.sent_ms + interval_ms - now_ms();
        zmq_pollitem_t item = {.socket = c.socket, .events = ZMQ_POLLIN};
        zmq_poll(&item, 1, left_ms > 0 ? (long)left_ms : 0);
        void *socket = c.socket;
        while (c.ended < 0 && c.socket == socket && receive(&c))
            ;
        if (c.ended >= 0 || now_ms() < c.sent_ms + interval_ms)
            continue;
        if (!c.welcome || now_ms() - c.heard_ms > SILENCE_MS)
            begin(&c);
        else {
            say_heartbeat(&c);
            if (!c.registered)
                register_for_link_up(&c);
        }
    }
    SAY(&c, "BUS:lies:indication:goodbye", 1, pack_pair(to, "reason", "moved"););
    int flush_ms = 200;
    zmq_setsockopt(c.socket, ZMQ_LINGER, &flush_ms, sizeof flush_ms);
    zmq_close(c.socket);
    zmq_ctx_term(c.context);
    return c.ended;
}
