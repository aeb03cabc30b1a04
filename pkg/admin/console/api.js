// The admin API (docs/api.md). Every failure is an ApiError whose message can be shown.

const READ_TIMEOUT_MS = 8000;
const WRITE_TIMEOUT_MS = 20000;

export class ApiError extends Error {
    /** @param {number} status of HTTP, 0 when there was no answer. */
    constructor(message, status = 0, body = null) {
        super(message);
        this.status = status;
        this.hint = body?.hint ?? '';
        this.errors = Array.isArray(body?.errors) ? body.errors : [];
    }
}

async function request(path, options, timeout) {
    const signals = [AbortSignal.timeout(timeout)];
    if (options.signal) {
        signals.push(options.signal);
    }
    let response;
    let text;
    try {
        response = await fetch(path, {...options, cache: 'no-store', signal: AbortSignal.any(signals)});
        text = await response.text();
    } catch (error) {
        if (options.signal?.aborted) {
            throw error;
        }
        throw new ApiError(error.name === 'TimeoutError'
                               ? `no answer within ${timeout / 1000} seconds`
                               : 'the admin port does not answer');
    }
    let body = null;
    try {
        body = JSON.parse(text);
    } catch {
        if (response.ok) {
            throw new ApiError(`${path} did not answer with JSON`, response.status);
        }
    }
    if (!response.ok) {
        throw new ApiError(body?.error ?? `${path} answered ${response.status}`, response.status, body);
    }
    return body;
}

export function get(path) {
    return request(path, {}, READ_TIMEOUT_MS);
}

/** Validates a configuration and plans it against the running one. Changes nothing. */
export function checkConfig(text, signal) {
    return request('/api/v1/config/check',
                   {method: 'POST', body: text, signal, headers: {'Content-Type': 'application/yaml'}},
                   WRITE_TIMEOUT_MS);
}

/**
 * Writes the configuration file. `hash` is of the configuration that the change was compared with:
 * the server refuses when another one runs by now.
 */
export function writeConfig(text, token, hash) {
    const headers = {'Content-Type': 'application/yaml', Authorization: `Bearer ${token}`};
    if (hash) {
        headers['If-Match'] = `"${hash}"`;
    }
    return request('/api/v1/config', {method: 'POST', body: text, headers}, WRITE_TIMEOUT_MS);
}
