// What the server says, asked again and again, and what can be computed from two answers. The
// screens read `store.state` and are told when it changed.

import {get} from './api.js';

export const HISTORY = 60;  // Samples, two minutes at the usual pace.

const PERIOD_MS = 2000;
const FIRST_PERIOD_MS = 700;  // A rate needs two answers: the second comes early.
const MAX_PERIOD_MS = 15000;
const CONFIG_PERIOD_MS = 15000;
const MAX_EVENTS = 2000;
const RATE_SAMPLES = 5;  // A shown rate is over the last ten seconds: calm, and still live.

const ERROR_CODES = ['5xx', 'error'];

export function sumRequests(backend) {
    return Object.values(backend.requests_total ?? {}).reduce((sum, value) => sum + value, 0);
}

export function sumErrors(backend) {
    return ERROR_CODES.reduce((sum, code) => sum + (backend.requests_total?.[code] ?? 0), 0);
}

export const backendKey = (pool, backend) => `${pool.name}\n${backend.name}`;

/** Counters of one thing over time, and the rates between them. */
class History {
    constructor() {
        this.times = [];
        this.requests = [];
        this.errors = [];
        this.latencies = [];
    }

    push(time, requests, errors, latency) {
        const last = this.requests.length - 1;
        if (last >= 0 && (requests < this.requests[last] || errors < this.errors[last])) {
            // The process began anew, so the old counters say nothing about the new ones.
            this.times = [];
            this.requests = [];
            this.errors = [];
            this.latencies = [];
        }
        this.times.push(time);
        this.requests.push(requests);
        this.errors.push(errors);
        this.latencies.push(latency);
        if (this.times.length > HISTORY + 1) {
            this.times.shift();
            this.requests.shift();
            this.errors.shift();
            this.latencies.shift();
        }
    }

    /** How much a counter grew since the last sample. */
    increment(counter, value) {
        const last = this[counter].at(-1);
        return last === undefined ? 0 : Math.max(0, value - last);
    }

    #rate(counters) {
        const last = counters.length - 1;
        const first = Math.max(0, last - RATE_SAMPLES);
        return last > first ? (counters[last] - counters[first]) / (this.times[last] - this.times[first]) : null;
    }

    requestRate() { return this.#rate(this.requests); }
    errorRate() { return this.#rate(this.errors); }

    requestRates() {
        return this.requests.slice(1).map(
            (value, i) => (value - this.requests[i]) / (this.times[i + 1] - this.times[i]));
    }

    recentLatencies() { return this.latencies.slice(-HISTORY); }
}

const EMPTY_HISTORY = new History();

export class Store {
    #listeners = new Set();
    #histories = new Map();
    #timer = 0;
    #period = PERIOD_MS;
    #configAsked = -Infinity;
    #inFlight = false;
    #answeredAt = 0;
    #requests = 0;
    #errors = 0;

    /** `connection`: loading, live, stale (answers stopped coming) or paused. */
    state = {
        connection: 'loading', error: null, answeredAt: null, status: null, pools: null,
        config: null, configError: null, events: [], eventsError: null,
    };

    subscribe(listener) { this.#listeners.add(listener); }

    history(key) { return this.#histories.get(key) ?? EMPTY_HISTORY; }
    total() { return this.history(''); }

    /** The server's clock, as far as the last answer tells: the browser's may be wrong. */
    now() {
        const {status} = this.state;
        if (!status) {
            return Date.now() / 1000;
        }
        return status.started + status.uptime_seconds + (performance.now() - this.#answeredAt) / 1000;
    }

    start() {
        document.addEventListener('visibilitychange', () => {
            if (!document.hidden) {
                this.refresh();
            }
        });
        this.refresh();
    }

    get paused() { return this.state.connection === 'paused'; }

    setPaused(paused) {
        this.state.connection = paused ? 'paused' : 'loading';
        clearTimeout(this.#timer);
        if (!paused) {
            this.refresh();
        }
        this.#notify();
    }

    /** Asks now; the next question follows by itself while the page is visible. */
    async refresh({config = false} = {}) {
        if (config) {
            this.#configAsked = -Infinity;
        }
        clearTimeout(this.#timer);
        if (this.#inFlight) {
            return;
        }
        this.#inFlight = true;
        const began = performance.now();
        try {
            await this.#ask();
            if (!this.paused) {
                this.state.connection = 'live';
            }
            this.state.error = null;
            // A thousand backends over a slow line must not keep the line full.
            const pace = this.total().requests.length < 2 ? FIRST_PERIOD_MS : PERIOD_MS;
            this.#period = Math.min(MAX_PERIOD_MS, Math.max(pace, 4 * (performance.now() - began)));
        } catch (error) {
            if (!this.paused) {
                this.state.connection = 'stale';
            }
            this.state.error = error;
            this.#period = Math.min(MAX_PERIOD_MS, Math.max(PERIOD_MS, this.#period * 1.5));
        }
        this.#inFlight = false;
        this.#notify();
        if (!document.hidden && !this.paused) {
            this.#timer = setTimeout(() => this.refresh(), this.#period);
        }
    }

    async #ask() {
        const [status, backends, fresh] = await Promise.all([
            get('/api/v1/status'), get('/api/v1/backends'), this.#askEvents(),
        ]);
        const restarted = this.state.status && this.state.status.started !== status.started;
        this.state.status = status;
        this.state.pools = backends.pools;
        this.#answeredAt = performance.now();
        this.state.answeredAt = Date.now() / 1000;
        this.#record();
        if (restarted) {
            // Event numbers begin anew with the process.
            this.state.events = [];
            await this.#askEvents();
        }
        const due = performance.now() - this.#configAsked > CONFIG_PERIOD_MS;
        const moved = this.state.config && this.state.config.generation !== status.generation;
        if (due || moved || restarted || fresh.some((event) => event.kind === 'config')) {
            await this.#askConfig();
        }
    }

    async #askConfig() {
        try {
            this.state.config = await get('/api/v1/config');
            this.state.configError = null;
            this.#configAsked = performance.now();
        } catch (error) {
            this.state.configError = error;
        }
    }

    async #askEvents() {
        const {events} = this.state;
        const since = events.length ? events[events.length - 1].id : 0;
        try {
            const answer = await get(`/api/v1/events?since=${since}`);
            this.state.events = events.concat(answer.events).slice(-MAX_EVENTS);
            this.state.eventsError = null;
            return answer.events;
        } catch (error) {
            this.state.eventsError = error;
            return [];
        }
    }

    #record() {
        const time = performance.now() / 1000;
        const seen = new Set(['']);
        for (const pool of this.state.pools) {
            for (const backend of pool.backends) {
                const key = backendKey(pool, backend);
                const own = sumRequests(backend);
                const failed = sumErrors(backend);
                const history = this.#historyOf(key);
                // The total is of increments: a removed backend takes its counters with it.
                this.#requests += history.increment('requests', own);
                this.#errors += history.increment('errors', failed);
                seen.add(key);
                history.push(time, own, failed, backend.latency_ewma_seconds ?? null);
            }
        }
        this.#historyOf('').push(time, this.#requests, this.#errors, null);
        for (const key of this.#histories.keys()) {
            if (!seen.has(key)) {
                this.#histories.delete(key);
            }
        }
    }

    #historyOf(key) {
        let history = this.#histories.get(key);
        if (!history) {
            history = new History();
            this.#histories.set(key, history);
        }
        return history;
    }

    #notify() {
        for (const listener of this.#listeners) {
            listener();
        }
    }
}
