// Command bench measures every figure that has a target, in one run and
// beside what it is compared with, and prints one table.
//
// What is compared runs in processes of its own, the peers. They take turns in
// short rounds, so that whatever else the machine does meets all of them. A cost
// is the processor time that a peer used, as the kernel counts it, with that of
// Redis where the peer asks it, divided by what it did; the load comes from this
// process and is not counted. A ratio is formed in each round, and the table
// tells the median with the least and the greatest.
package main
