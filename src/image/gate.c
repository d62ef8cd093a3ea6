#include "image/parts.h"

/* Who comes later waits behind the gate's `entry`, so a large picture is not passed for ever by
 * small ones. Lock order: entry, then mutex. */
void vz_gate_enter(struct vz_gate *gate, double weight)
{
    pthread_mutex_lock(&gate->entry);
    pthread_mutex_lock(&gate->mutex);
    while (gate->inside > 0 && gate->weight + weight > gate->most)
        pthread_cond_wait(&gate->left, &gate->mutex);
    gate->inside++;
    gate->weight += weight;
    pthread_mutex_unlock(&gate->mutex);
    pthread_mutex_unlock(&gate->entry);
}

void vz_gate_leave(struct vz_gate *gate, double weight)
{
    pthread_mutex_lock(&gate->mutex);
    gate->inside--;
    gate->weight = gate->inside ? gate->weight - weight : 0; /* no rounding is carried on */
    pthread_mutex_unlock(&gate->mutex);
    pthread_cond_signal(&gate->left); /* at most one waits: the one that holds `entry` */
}
