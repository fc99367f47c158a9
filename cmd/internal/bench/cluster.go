package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// cluster starts three primaries with a replica each, and returns their REDIS_URL.
func (ps *peers) cluster(ctx context.Context) (url string, err error) {
	const shards, slots = 3, 16384
	var clients [2 * shards]*redis.Client // primaries first
	var addresses []string
	for i := range clients {
		server, bus, err := ps.clusterNode(ctx)
		if err != nil {
			return "", err
		}
		clients[i] = redis.NewClient(&redis.Options{Addr: server.addr})
		defer func() { _ = clients[i].Close() }()
		addresses = append(addresses, server.addr)
		host, port, _ := net.SplitHostPort(server.addr) // it was joined here
		err1 := clients[i].Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err()
		var err2, err3 error
		if i < shards {
			err2 = clients[i].ClusterAddSlotsRange(ctx, i*slots/shards, (i+1)*slots/shards-1).Err()
		}
		if i > 0 {
			err3 = clients[0].Do(ctx, "CLUSTER", "MEET", host, port, bus).Err()
		}
		if err := errors.Join(err1, err2, err3); err != nil {
			return "", fmt.Errorf("join a cluster: %w", err)
		}
	}
	if err := awaitNodes(ctx, clients[:], "every node knows every other", func(info, _ string) bool {
		return strings.Contains(info, fmt.Sprintf("cluster_known_nodes:%d\r", len(clients)))
	}); err != nil {
		return "", err
	}
	for i, replica := range clients[shards:] {
		id, err := clients[i].Do(ctx, "CLUSTER", "MYID").Text()
		if err != nil {
			return "", err
		}
		if err := replica.ClusterReplicate(ctx, id).Err(); err != nil {
			return "", fmt.Errorf("replicate %s: %w", addresses[i], err)
		}
	}
	return "redis+cluster://" + strings.Join(addresses, ","), awaitNodes(ctx, clients[:], "the cluster is complete", func(info, replication string) bool {
		return strings.Contains(info, "cluster_state:ok") &&
			(strings.Contains(replication, "master_link_status:up") || strings.Contains(replication, "connected_slaves:1"))
	})
}

// awaitNodes returns when something holds for what each node says of the cluster and of its
// replication.
func awaitNodes(ctx context.Context, nodes []*redis.Client, what string, met func(cluster, replication string) bool) error {
	const limit = time.Minute
	for end := time.Now().Add(limit); ; {
		good := 0
		for _, node := range nodes {
			info, err1 := node.ClusterInfo(ctx).Result()
			replication, err2 := node.Info(ctx, "replication").Result()
			if err1 == nil && err2 == nil && met(info, replication) {
				good++
			}
		}
		switch {
		case good == len(nodes):
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(end):
			return fmt.Errorf("after %v, this is still not true: %s", limit, what)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// clusterNode starts a node, and returns the port on which nodes talk to each other.
func (ps *peers) clusterNode(ctx context.Context) (node *peer, bus string, err error) {
	_, bus, err = freePort()
	if err != nil {
		return nil, "", err
	}
	// A node that is busy is not taken for dead.
	node, err = ps.redis(ctx, "--cluster-enabled", "yes", "--cluster-node-timeout", "60000",
		"--cluster-port", bus, "--cluster-config-file", "nodes-"+bus+".conf")
	return node, bus, err
}
