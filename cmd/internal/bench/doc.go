// Command bench measures every figure that has a target, and what the figure is compared with,
// in one run, and prints one table.
//
// Each peer is a separate process. The peers take turns in short rounds, so that other work on
// the machine affects all of them. A cost is the processor time that the kernel counts for a
// peer, and for Redis if the peer uses it, divided by the number of requests or events. The load
// comes from this process and is not counted. Each round gives a ratio, and the table shows the
// median, the least and the greatest.
//
// # Figures
//
// On a shared machine with two slow cores, median (least–most):
//
//	figure                                                                                    statusd              beside                                            ratio                target                     verdict
//	hot read of 1 kB, CPU per request                                                         18.2 (15.1–24.6) µs  bare net/http handler: 32 (27.5–40.7) µs          0.574 (0.441–0.687)  ≤ 0.6                      ok
//	                                                                                          18.2 (15.1–24.6) µs  bare fasthttp handler: 15.2 (12.2–19.7) µs        1.23 (0.901–1.66)    –                          –
//	                                                                                          18.2 (15.1–24.6) µs  nginx return 200: 11.5 (9.78–16.3) µs             1.59 (0.942–2.27)    ≤ 1.7                      ok
//	                                                                                          18.2 (15.1–24.6) µs  webdis GET: 48.3 (44.7–65.1) µs                   0.352 (0.269–0.48)   ≤ 0.4                      ok
//	                                                                                          18.2 (15.1–24.6) µs  nginx+lua+redis GET: 51.5 (40.3–72) µs            0.368 (0.241–0.555)  ≤ 0.45                     ok
//	hot read of 1 kB over TLS, CPU per request                                                26.9 (23.7–31.4) µs  bare net/http handler: 54.1 (42.1–60.7) µs        0.498 (0.466–0.74)   ≤ 0.75                     ok
//	hot read of 1 kB behind nginx, one request in ten a batch, CPU per request                32.5 (29.6–42.2) µs  statusd with net/http alone: 60.5 (45.8–69.4) µs  0.549 (0.48–0.702)   ≤ 0.65                     ok
//	miss of 1 kB, 64 at once, 100000 records                                                  60.1 (48.4–60.8) µs  net/http + go-redis HMGET: 107 (91.2–135) µs      0.531 (0.449–0.619)  ≤ 0.6                      ok
//	                                                                                          60.1 (48.4–60.8) µs  nginx+lua+redis GET: 84.4 (75.4–98.8) µs          0.669 (0.516–0.804)  ≤ 1                        ok
//	miss of 0.4 kB, 64 at once, 1000000 records                                               50 (40.1–57.4) µs    statusd, 1000 records: 50.2 (43.5–55.5) µs        0.997 (0.734–1.26)   ≤ 1.05                     ok
//	ingest of ends of 1.3 kB, all of 1.2 kB on average, per event                             43 (41–74.5) µs      pipelined SET: 7.6 (7.2–8) µs                     0.176 (0.0993–0.186) ≥ 0.25                     SHORT
//	ingest of ends of 6 kB, all of 3.6 kB on average, per event                               91.7 (75.8–110) µs   pipelined SET: 14.7 (13.5–19.2) µs                0.158 (0.136–0.211)  ≥ 0.25                     SHORT
//	Redis memory for each of 20000 executions, index included                                 850 B                compressed payload: 487 B                         + 363 B              + ≤ 450 B                  ok
//	Redis memory for each of 200000 executions, index included                                682 B                compressed payload: 487 B                         + 195 B              + ≤ 350 B                  ok
//	200 running executions polled every 2.5s each, Redis reads per poll                       0.5                  round trips: 0.499                                –                    ≤ 0.5                      ok
//	event in SQS to visible over HTTP, 300 events, p50 and p99                                0.948 and 2.36 ms    bare long poll: 0.106 and 0.233 ms                + 0.842 and 2.26 ms  p99 + ≤ 25 ms              ok
//	400 executions of up to 20s, change to client p50 and p99: documented poller, every 2.5s  1291 and 2493 ms     requests 5.51, bytes 4239 each                    –                    –                          –
//	long poll                                                                                 0.812 and 1.34 ms    requests 1, bytes 853 each                        –                    p99 ≤ 10 ms, ≤ 2 requests  ok
//	stream                                                                                    0.802 and 1.37 ms    requests 1, bytes 1087 each                       –                    p99 ≤ 10 ms, ≤ 2 requests  ok
//	100000 waiting clients (poll) in 6 processes, resident memory each                        7.63 kB              nobody waits: 85.2 MB                             –                    ≤ 8 kB                     ok
//	100000 waiting clients (stream) in 6 processes, resident memory each                      6.84 kB              nobody waits: 88.7 MB                             –                    ≤ 8 kB                     ok
//	5000 clients of one execution, all notified of its end                                    84ms                 Redis reads: 1                                    –                    ≤ 1s, ≤ 2 reads            ok
//	5000 clients come back at once                                                            224ms                errors: 0                                         –                    no error                   ok
//	hot read while 5000 clients wait, CPU per request                                         24.7 (16–27) µs      statusd, nobody waits: 24 (15.7–27.5) µs          1.03 (0.711–1.41)    ≤ 1.05                     ok
//
// The lines about hot reads, misses, ingest, waiting clients and memory are from separate runs;
// the run of hot reads had 21 rounds. Reads over TLS and misses of 1 kB were measured on a day
// on which the machine was slower by a third. On the faster days, one core serves some 55,000
// polls or 23,000 events a second. In a hot read, 43 % of the time is the write and 9 % the read,
// which every server needs; 26 % is the handler (key and limits 7 %, the answer 5 %, the log 4 %),
// and 6 % the scheduler.
//
// On this machine, ingest misses its target. On another machine, without other work, the ratios
// were 0.34 (0.287–0.368) and 0.409 (0.318–0.467): an event cost about the same, 48 and 86 µs,
// but a SET 17 and 37 µs.
//
// For each event a script merges it, updates two indexes and a trail, and announces it; the
// comparison is a single SET. The script takes more than half of the time, most of it in Lua
// itself, which copies each text that it reads or makes. A third of the worker's time is
// decoding, and at 6 kB a quarter is compression at the fastest level. The indexes are bounded,
// so the more executions there are, the less memory each of them needs.
//
// A miss of a compact record costs as much as a miss of a record of earlier releases, within the
// differences between rounds: two runs of -only formats with 15 rounds measured 1.00 and 1.01
// (0.793–1.3) at 0.4 kB, 0.989 and 0.99 (0.907–1.07) at 1 kB, and 0.997 and 0.975 (0.835–1.35) at
// 4 kB. Decoding takes 0.2 µs more at 0.4 kB (BenchmarkMiss in package cache).
//
// The hot read behind nginx is compared with the same program in which net/http serves every
// connection: with the same requests, handlers, checks and log, but without package wire.
//
// # Questions about many executions
//
// -only questions takes some ten minutes and 2 GB: a million executions of 200 state machines
// and 500 owners within 7 days, written through the cache, of which 5,000 still run; then 50
// questions a second of every kind, by an operator and by owners in turn, while 500 events a
// second come in. A time counts from when the question was due, even if earlier questions are
// not answered yet. Then each kind is asked alone, to measure the processor time of statusd and
// Redis for an answer, which depends less on other programs on the machine. -cluster asks a cluster of
// three primaries with a replica each, -records changes the number.
//
// The p99 of one question is the third slowest of 200 answers, so it differs from run to run, and
// with the speed of the machine. With one Redis on the machine above and no other work, 16 to 39
// of the 48 questions were within their target: all questions together had 4.8 and 37.8 ms (p50
// and p99), the overview of an owner 2.7 and 26 ms, an answer from memory 1.4 and 9 to 15 ms. On a
// day on which the same machine was about twice as fast, 47 and 46 of 48 were, in two runs: all
// questions together had 3.9 and 13.2 ms, the overview of an owner 2.2 and 4.8 ms, an answer from
// memory 1 and 1.8 ms, and the bare Redis client 3 and 7.1 ms. Each of the three questions that
// took too long in one run (26 to 46 ms) was within its target in the other, though the failures
// of an owner within an hour only just, with 24.8 ms.
//
// Most of the slowest answers come from the kernel of that machine, which watches how memory is
// used (DAMON). In a record of the scheduler, it took one processor for 16 ms, up to 67 ms, nearly
// twice a second, and meanwhile reads of Redis took some 20 ms instead of 2 to 8. One answer in
// twenty met that, with a p50 of 18 ms. The other answers had a p99 of 22 ms. Of these, the slowest
// come when several things happen at once: long answers, pages that search beyond the newest
// entries (5 to 9 ms of both programs), owners whose executions are read for the first time
// (10 ms), and the counters (8 ms every second). A bare Redis client reads as much as a search,
// in the same rounds; its times show what Redis and the machine add.
//
// # A dictionary for each state machine
//
// -only dictionaries measures what a dictionary for each state machine would save: it makes one
// from 400 outputs of each of five shapes, and compares the memory in Redis.
//
//	figure                                                        statusd  beside                                              ratio      target
//	Redis memory of an execution with counts, 90 B                666 B    with a dictionary: 600 B, 24 B of them the output   10 % less  ≥ 25 % less
//	Redis memory of an execution with two findings, 600 B         1074 B   with a dictionary: 830 B, 237 B of them the output  23 % less  ≥ 25 % less
//	Redis memory of an execution with the place of a file, 350 B  891 B    with a dictionary: 760 B, 175 B of them the output  15 % less  ≥ 25 % less
//	Redis memory of an execution with scores, 500 B               953 B    with a dictionary: 817 B, 203 B of them the output  14 % less  ≥ 25 % less
//	Redis memory of an execution with prose, 800 B                1119 B   with a dictionary: 964 B, 363 B of them the output  14 % less  ≥ 25 % less
//
// That is too little, so outputs are compressed without dictionaries. A dictionary would also
// keep pieces of outputs longer than their executions, after they have expired or been erased.
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
//	outcomes of deliveries                                                                                                    41292                  delivered: 41292            –                                   equal   ok
//	19676 executions at 33 per second, a tenth of the events is lost, wrong at the end                                        0                      lost: 4302 of 41410 events  all right 6m39s after the last end  0       ok
//	time for which a reported status is wrong: mean, p99, longest                                                             56.6, 809, 1.31e+03 s  repairs: 2480               –                                   –       –
//	calls to Step Functions per execution                                                                                     0.172                  describe: 3236, list: 142   –                                   ≤ 0.25  ok
//	outcomes of deliveries                                                                                                    44458                  delivered: 44458            –                                   equal   ok
//	19512 executions at 33 per second, likewise, Redis is emptied half-way, replay and backfill at the end, wrong at the end  0                      lost: 4253 of 41038 events  all right 58s after the last end    0       ok
//	time for which a reported status is wrong: mean, p99, longest                                                             35.8, 506, 732 s       repairs: 6356               –                                   –       –
//	calls to Step Functions per execution                                                                                     0.181                  describe: 3391, list: 132   –                                   –       –
//	outcomes of deliveries                                                                                                    82307                  delivered: 82307            –                                   equal   ok
//
// In the last two runs, DESCRIBE_RATE is why states are wrong for so long: three ends a second
// were lost, but only two calls a second are allowed. The calls of the third run are those of
// statusd, without those of the backfill at the end.
package main
