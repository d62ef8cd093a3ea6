/* nn/team.h - inside the room: one multiplication on several cores.
 *
 * Not OpenMP's: a parallel region there ends when every thread of the team has passed a barrier, so
 * one thread that the kernel has set aside stops all, hundreds of times a model. Here parts are
 * claimed, and the caller claims until none is left: a helper that does not come costs nothing.
 *
 * Threads: any may call; callers share the helpers. A part must not call nn_team_run.
 */
#ifndef VZ_NN_TEAM_H
#define VZ_NN_TEAM_H

/* part(arg, i) for each i below count, each once, on the caller and at most `helpers` others.
 * Returns when all are done; what they wrote is seen then. */
void nn_team_run(unsigned count, unsigned helpers, void (*part)(void *arg, unsigned i), void *arg);

#endif
