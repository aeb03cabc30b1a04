// The edited copy of the configuration: it lives in this browser tab until it is copied or applied.
// Every change of it is checked by the server.

import {checkConfig} from './api.js';

const CHECK_DELAY_MS = 350;
const STORAGE_KEY = 'rproxy.draft';

export class Draft {
    #listeners = new Set();
    #timer = 0;
    #check = null;
    #source = null;  // The running configuration: {text, hash}.

    text = null;       // null until the running configuration is known.
    baseHash = null;   // Of what was running when the editing began.
    /** idle, checking, valid, invalid or failed (the check itself); with its changes or errors. */
    verdict = {state: 'idle', changes: [], errors: [], message: ''};

    constructor() {
        try {
            const kept = JSON.parse(sessionStorage.getItem(STORAGE_KEY));
            if (typeof kept?.text === 'string') {
                this.text = kept.text;
                this.baseHash = kept.baseHash;
            }
        } catch {
            // Nothing kept, or storage is forbidden.
        }
    }

    subscribe(listener) { this.#listeners.add(listener); }

    get ready() { return this.#source !== null; }
    get pending() { return this.ready && this.text !== this.#source.text; }
    /** Somebody else changed the configuration since this copy was made. */
    get outdated() { return this.pending && this.baseHash !== this.#source.hash; }
    get running() { return this.#source; }

    /** Takes note of what runs. A copy that nobody edited follows it. */
    follow(config) {
        const text = config.text ?? '';
        const previous = this.#source;
        if (previous && previous.hash === config.hash && previous.text === text) {
            return;
        }
        this.#source = {text, hash: config.hash};
        const edited = this.text !== null && this.text !== previous?.text;
        if (!edited || this.text === text) {
            this.#become(text, config.hash);
        } else {
            this.#scheduleCheck();
        }
        this.#notify();
    }

    set(text) {
        if (this.text === this.#source.text) {
            this.baseHash = this.#source.hash;
        }
        this.text = text;
        this.#keep();
        this.#scheduleCheck();
        this.#notify();
    }

    discard() {
        this.#become(this.#source.text, this.#source.hash);
        this.#notify();
    }

    /** Says that the copy was compared with what runs now and shall replace it. */
    keepMine() {
        this.baseHash = this.#source.hash;
        this.#keep();
        this.#notify();
    }

    #become(text, hash) {
        this.text = text;
        this.baseHash = hash;
        this.#cancelCheck();
        this.verdict = {state: 'idle', changes: [], errors: [], message: ''};
        this.#keep();
    }

    #keep() {
        try {
            if (this.pending) {
                sessionStorage.setItem(STORAGE_KEY, JSON.stringify({text: this.text, baseHash: this.baseHash}));
            } else {
                sessionStorage.removeItem(STORAGE_KEY);
            }
        } catch {
            // The copy then lives as long as the page.
        }
    }

    #cancelCheck() {
        clearTimeout(this.#timer);
        this.#check?.abort();
        this.#check = null;
    }

    #scheduleCheck() {
        this.#cancelCheck();
        if (!this.pending) {
            this.verdict = {state: 'idle', changes: [], errors: [], message: ''};
            return;
        }
        this.verdict = {...this.verdict, state: 'checking'};
        this.#timer = setTimeout(() => this.check(), CHECK_DELAY_MS);
    }

    async check() {
        this.#cancelCheck();
        const own = new AbortController();
        this.#check = own;
        let verdict;
        try {
            const answer = await checkConfig(this.text, own.signal);
            verdict = {state: answer.valid ? 'valid' : 'invalid', changes: answer.changes ?? [],
                       errors: answer.errors ?? [], message: ''};
        } catch (error) {
            verdict = error.errors?.length
                ? {state: 'invalid', changes: [], errors: error.errors, message: ''}
                : {state: 'failed', changes: [], errors: [], message: error.message};
        }
        // A newer text is being checked, or the copy was discarded: this answer is of the past.
        if (this.#check === own) {
            this.verdict = verdict;
            this.#notify();
        }
    }

    #notify() {
        for (const listener of this.#listeners) {
            listener();
        }
    }
}

const shellQuoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** What to paste into a shell: {name, namespace, key} say where the file lives in the cluster. */
export function kubectlPatch(text, {name, namespace, key}) {
    const patch = JSON.stringify({data: {[key]: text}});
    return `kubectl patch configmap ${shellQuoted(name)} --namespace ${shellQuoted(namespace)} --type merge \\\n` +
           `  --patch ${shellQuoted(patch)}\n`;
}

export function kubectlCreate(text, {name, namespace, key}) {
    const lines = new Set(text.split('\n'));
    let end = 'RPROXY_END';
    while (lines.has(end)) {
        end += '_';
    }
    return `kubectl create configmap ${shellQuoted(name)} --namespace ${shellQuoted(namespace)} \\\n` +
           `  --from-file=${shellQuoted(key)}=/dev/stdin --dry-run=client --output yaml <<'${end}' | kubectl apply --filename -\n` +
           `${text}${text.endsWith('\n') ? '' : '\n'}${end}\n`;
}
