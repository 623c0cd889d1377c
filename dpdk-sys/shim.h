// What libdpdk offers only as inline functions or macros, one burst per call.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

// Spreads IPv4 by addresses, and by ports where there are any.
static const uint64_t shim_rss_ipv4 = RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_FRAG_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_TCP |
                                      RTE_ETH_RSS_NONFRAG_IPV4_UDP | RTE_ETH_RSS_NONFRAG_IPV4_SCTP |
                                      RTE_ETH_RSS_NONFRAG_IPV4_OTHER;
static const uint32_t shim_rx_rss = RTE_ETH_MQ_RX_RSS;
static const int shim_socket_any = SOCKET_ID_ANY;

// Where the mbuf's fields are: DPDK moves them into and out of unnamed unions from one version to the next.
static const size_t shim_at_buf_addr = offsetof(struct rte_mbuf, buf_addr);
static const size_t shim_at_data_off = offsetof(struct rte_mbuf, data_off);
static const size_t shim_at_refcnt = offsetof(struct rte_mbuf, refcnt);
static const size_t shim_at_nb_segs = offsetof(struct rte_mbuf, nb_segs);
static const size_t shim_at_pkt_len = offsetof(struct rte_mbuf, pkt_len);
static const size_t shim_at_data_len = offsetof(struct rte_mbuf, data_len);
static const size_t shim_at_buf_len = offsetof(struct rte_mbuf, buf_len);

// The calling thread's rte_errno.
int shim_errno(void);

// Sends DPDK's messages to `sink`, with DPDK's level (1 emergency to 8 debug) and text without a final zero.
// Returns 0, or -1 when no stream can be made. To be called before rte_eal_init.
int shim_log_open(void (*sink)(uint32_t level, const char *text, size_t length));

// Receives up to `count` frames.
uint16_t shim_receive(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count);

// Transmits from the front; returns how many the device took.
uint16_t shim_transmit(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count);

// An empty mbuf with the usual head room, or NULL when the pool is empty.
struct rte_mbuf *shim_allocate(struct rte_mempool *pool);

// Fills `mbufs` with `count` of them, or with none when the pool has fewer; returns whether it did.
bool shim_allocate_bulk(struct rte_mempool *pool, struct rte_mbuf **mbufs, uint16_t count);

// Gives an mbuf back to the pool it came from.
void shim_free(struct rte_mbuf *mbuf);

// Whether the link is up; without waiting for the device.
bool shim_link_is_up(uint16_t port);
