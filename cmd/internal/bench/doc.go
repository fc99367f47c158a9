// Command bench measures every figure that has a target, in one run and
// beside what it is compared with, and prints one table.
//
// The peers run in processes of their own. They take turns in short rounds, so that
// other work on the machine affects all of them. A cost is the processor time that a peer
// used, as the kernel counts it, with that of Redis where the peer asks it, divided by what
// it did; the load comes from this process and is not counted. A ratio is formed in each
// round, and the table shows the median with the least and the greatest.
//
// # Figures
//
// On a shared machine with two slow cores, median (least–most):
//
//	figure                                                                                    statusd              beside                                          ratio                target                     verdict
//	hot read of 1 kB, CPU per request                                                         26.7 (21.9–30.8) µs  bare net/http handler: 43 (38.6–52.7) µs        0.611 (0.461–0.797)  ≤ 0.6                      SHORT
//	                                                                                          26.7 (21.9–30.8) µs  nginx return 200: 15.7 (13.9–17) µs             1.71 (1.48–2)        ≤ 1.7                      SHORT
//	miss of 1 kB, 64 at once, 100000 records                                                  32.7 (30–33.3) µs    net/http + go-redis HMGET: 34.4 (33.1–35.3) µs  0.937 (0.906–0.97)   ≤ 0.7                      SHORT
//	                                                                                          32.7 (30–33.3) µs    nginx+lua+redis GET: 21.1 (20.8–22.6) µs        1.5 (1.44–1.57)      ≤ 1.1                      SHORT
//	miss of 0.4 kB, 64 at once, 1000000 records                                               32 (30.8–35.2) µs    statusd, 1000 records: 28.1 (26.4–30.5) µs      1.14 (1.05–1.27)     ≤ 1.1                      SHORT
//	ingest of ends of 1.3 kB, all of 1.2 kB on average, per event                             54 (53.5–76) µs      pipelined SET: 7.3 (7.2–7.3) µs                 0.133 (0.096–0.136)  ≥ 0.4                      SHORT
//	ingest of ends of 6 kB, all of 3.6 kB on average, per event                               91.7 (89.2–91.7) µs  pipelined SET: 12.5 (12.2–12.7) µs              0.138 (0.133–0.14)   ≥ 0.2                      SHORT
//	Redis memory for each of 20000 executions, index included                                 914 B                compressed payload: 487 B                       + 427 B              + ≤ 450 B                  ok
//	Redis memory for each of 200000 executions, index included                                746 B                compressed payload: 487 B                       + 259 B              + ≤ 350 B                  ok
//	200 running executions polled every 2.5s each, Redis reads per poll                       0.5                  round trips: 0.499                              –                    ≤ 0.5                      ok
//	event in SQS to visible over HTTP, 300 events, p50 and p99                                0.948 and 2.36 ms    bare long poll: 0.106 and 0.233 ms              + 0.842 and 2.26 ms  p99 + ≤ 25 ms              ok
//	400 executions of up to 20s, change to client p50 and p99: documented poller, every 2.5s  1291 and 2493 ms     requests 5.51, bytes 4239 each                  –                    –                          –
//	long poll                                                                                 0.812 and 1.34 ms    requests 1, bytes 853 each                      –                    p99 ≤ 10 ms, ≤ 2 requests  ok
//	stream                                                                                    0.802 and 1.37 ms    requests 1, bytes 1087 each                     –                    p99 ≤ 10 ms, ≤ 2 requests  ok
//	50000 waiting clients (poll) in 3 processes, resident memory each                         14.1 kB              heap and stacks: 11.8 kB                        –                    ≤ 16 kB                    ok
//	50000 waiting clients (stream) in 3 processes, resident memory each                       14.9 kB              heap and stacks: 12.4 kB                        –                    ≤ 16 kB                    ok
//	5000 clients of one execution, all notified of its end                                    84ms                 Redis reads: 1                                  –                    ≤ 1s, ≤ 2 reads            ok
//	5000 clients come back at once                                                            224ms                errors: 0                                       –                    no error                   ok
//	hot read while 5000 clients wait, CPU per request                                         16.1 (15.8–16.9) µs  statusd, nobody waits: 15.2 (14.9–15.9) µs      1.08 (1.02–1.13)     ≤ 1.1                      ok
//
// The lines about hot reads, waiting clients, ingest and memory are from runs of their own,
// those about hot reads and ingest beside much other work. webdis and the Redis of nginx
// were not there for the hot reads. That is some 65,000 polls or 25,000 events a second and
// core. Where it falls short: half of a hot read are system calls (40 % the write, 10 % the
// read), which every server pays, 7 % the scheduler, 7 % the API key, of which the HMAC is
// remembered, 6 % the head and the request, 5 % the log, 3 % the rate limit, and the rest the
// near cache and the answer.
// An event costs a script that merges it, keeps two indexes and a trail, and announces it,
// where the floor is one SET. The indexes are bounded, so the share of each execution falls
// as there are more.
//
// The hot read behind nginx is compared with the same program in which net/http serves every
// connection. That answers the same requests with the same handlers, checks and log; only
// package wire is left out.
//
// # Questions about many executions
//
// -only questions takes some ten minutes and 2 GB: a million executions of 200 state machines
// and 500 owners within 7 days, written through the cache, of which 5,000 still run; then 50
// questions a second of every kind, by an operator and by owners in turn, while 500 events a
// second come in. A time counts from when the question was due, whether or not those before
// were answered. Then each kind is asked alone, for the processor time of statusd and Redis for
// an answer, which depends less on what else runs on the machine. -cluster asks a cluster of
// three primaries with a replica each, -records changes the number.
//
// # Calls to Step Functions
//
// -only truth takes an hour: ten minutes at 33 starts a second, runs of 5 seconds to 5
// minutes, every twentieth output oversize, calls throttled as on AWS, default settings.
//
//	figure                                                                                                                    statusd                beside                      ratio                               target  verdict
//	19631 executions at 33 per second, every event comes, wrong at the end                                                    0                      lost: 0 of 41292 events     all right 0s after the last end     0       ok
//	time for which a reported status is wrong: mean, p99, longest                                                             0.0593, 2, 3 s         repairs: 0                  –                                   –       –
//	calls to Step Functions per execution                                                                                     0.0468                 describe: 800, list: 119    –                                   ≤ 0.05  ok
//	deliveries, and what became of them                                                                                       41292                  delivered: 41292            –                                   equal   ok
//	19676 executions at 33 per second, a tenth of the events is lost, wrong at the end                                        0                      lost: 4302 of 41410 events  all right 6m39s after the last end  0       ok
//	time for which a reported status is wrong: mean, p99, longest                                                             56.6, 809, 1.31e+03 s  repairs: 2480               –                                   –       –
//	calls to Step Functions per execution                                                                                     0.172                  describe: 3236, list: 142   –                                   ≤ 0.25  ok
//	deliveries, and what became of them                                                                                       44458                  delivered: 44458            –                                   equal   ok
//	19512 executions at 33 per second, likewise, Redis is emptied half-way, replay and backfill at the end, wrong at the end  0                      lost: 4253 of 41038 events  all right 58s after the last end    0       ok
//	time for which a reported status is wrong: mean, p99, longest                                                             35.8, 506, 732 s       repairs: 6356               –                                   –       –
//	calls to Step Functions per execution                                                                                     0.181                  describe: 3391, list: 132   –                                   –       –
//	deliveries, and what became of them                                                                                       82307                  delivered: 82307            –                                   equal   ok
//
// The wrong seconds of the last two runs are those of DESCRIBE_RATE: three ends a second
// were lost, and two calls a second are allowed. The calls of the backfill at the end are
// not among those of the third, which are statusd's.
package main
