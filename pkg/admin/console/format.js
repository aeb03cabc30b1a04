// Numbers and times as an operator reads them. What is not known is a dash.

export const NONE = '–';

const isNumber = (value) => typeof value === 'number' && Number.isFinite(value);
const group = new Intl.NumberFormat('en', {maximumFractionDigits: 0});

export function count(value) {
    return isNumber(value) ? group.format(value) : NONE;
}

/** Per second, three significant digits at most. */
export function rate(value) {
    if (!isNumber(value)) {
        return NONE;
    }
    if (value === 0) {
        return '0';
    }
    if (value < 0.05) {
        return '<0.1';
    }
    return value < 100 ? value.toFixed(1) : group.format(value);
}

export function ratio(part, whole) {
    if (!isNumber(part) || !isNumber(whole) || whole <= 0) {
        return NONE;
    }
    const percent = (100 * part) / whole;
    if (percent === 0) {
        return '0 %';
    }
    return percent < 0.1 ? '<0.1 %' : `${percent < 10 ? percent.toFixed(1) : percent.toFixed(0)} %`;
}

/** A latency: 0.0012 is `1.2 ms`. */
export function latency(seconds) {
    if (!isNumber(seconds)) {
        return NONE;
    }
    if (seconds < 0.001) {
        return `${Math.round(seconds * 1e6)} µs`;
    }
    if (seconds < 1) {
        const ms = seconds * 1000;
        return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
    }
    return `${seconds.toFixed(1)} s`;
}

/** A span of time by its two largest units: `3d 4h`, `12m 5s`. */
export function duration(seconds) {
    if (!isNumber(seconds)) {
        return NONE;
    }
    const s = Math.max(0, Math.floor(seconds));
    if (s < 60) {
        return `${s}s`;
    }
    if (s < 3600) {
        return `${Math.floor(s / 60)}m ${s % 60}s`;
    }
    if (s < 86400) {
        return `${Math.floor(s / 3600)}h ${Math.floor((s % 3600) / 60)}m`;
    }
    return `${Math.floor(s / 86400)}d ${Math.floor((s % 86400) / 3600)}h`;
}

/** How long before `now` something was; `never` until it happened. */
export function ago(at, now) {
    if (!isNumber(at)) {
        return 'never';
    }
    const past = now - at;
    return past < 1 ? 'now' : `${duration(past)} ago`;
}

/** Why a backend takes no requests, as far as health knows; null when it does. */
export function whyNot(backend, now) {
    if (backend.held_until) {
        return `Fell ${backend.recent_falls} times within ten minutes: held down for another `
            + `${duration(backend.held_until - now)}, unless a request has nobody else left.`;
    }
    if (backend.ejected_until) {
        return `Ejected for its failures, for another ${duration(backend.ejected_until - now)}.`;
    }
    const check = backend.last_health_check;
    return check && !check.ok ? `Last check: ${check.detail}` : null;
}

const pad = (value) => String(value).padStart(2, '0');

/** The reader's local time of day, with the date unless it is today. */
export function clock(at) {
    if (!isNumber(at)) {
        return NONE;
    }
    const date = new Date(at * 1000);
    const time = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
    return date.toDateString() === new Date().toDateString() ? time : `${day(date)} ${time}`;
}

function day(date) {
    return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
}

export function plural(number, one, many = `${one}s`) {
    return `${count(number)} ${number === 1 ? one : many}`;
}

export function shortHash(hash) {
    return hash ? hash.slice(0, 10) : NONE;
}
