#define _GNU_SOURCE
#include "shim.h"

#include <stdio.h>
#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_log.h>

int shim_errno(void) { return rte_errno; }

static void (*log_sink)(uint32_t level, const char *text, size_t length);

static ssize_t log_write(void *cookie, const char *text, size_t length) {
    (void)cookie;
    log_sink((uint32_t)rte_log_cur_msg_loglevel(), text, length);
    return (ssize_t)length;
}

int shim_log_open(void (*sink)(uint32_t level, const char *text, size_t length)) {
    cookie_io_functions_t functions = {.write = log_write};
    log_sink = sink;
    FILE *stream = fopencookie(NULL, "w", functions);
    return stream == NULL ? -1 : rte_openlog_stream(stream);
}

uint16_t shim_receive(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count) {
    return rte_eth_rx_burst(port, queue, mbufs, count);
}

uint16_t shim_transmit(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count) {
    return rte_eth_tx_burst(port, queue, mbufs, count);
}

struct rte_mbuf *shim_allocate(struct rte_mempool *pool) { return rte_pktmbuf_alloc(pool); }

bool shim_allocate_bulk(struct rte_mempool *pool, struct rte_mbuf **mbufs, uint16_t count) {
    return rte_pktmbuf_alloc_bulk(pool, mbufs, count) == 0;
}

void shim_free(struct rte_mbuf *mbuf) { rte_pktmbuf_free(mbuf); }

bool shim_link_is_up(uint16_t port) {
    struct rte_eth_link link;
    return rte_eth_link_get_nowait(port, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}
