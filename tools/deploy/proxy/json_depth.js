// Refuses JSON that is nested more deeply than any tensor. TensorFlow Serving
// reads nested lists by recursion, and a body of a few kilobytes of brackets
// ends the whole server (CVE-2025-0649).

const DEEPEST = 16;
const QUOTE = 0x22, BACKSLASH = 0x5c;

// The deepest nesting; stops at what is too deep. Text between quotes may hold
// any brackets, and is skipped.
function depth(bytes) {
  let level = 0, deepest = 0;
  for (let i = 0; i < bytes.length; i++) {
    const c = bytes[i];
    if (c === QUOTE) {
      i = endOfString(bytes, i);
      if (i < 0) {
        return deepest;  // Never closed: the server will say so.
      }
    } else if (c === 0x5b || c === 0x7b) {
      level += 1;
      if (level > deepest) {
        deepest = level;
        if (deepest > DEEPEST) {
          return deepest;
        }
      }
    } else if (c === 0x5d || c === 0x7d) {
      level -= 1;
    }
  }
  return deepest;
}

// Where the quote is that ends a string which begins at `start`; -1 if nowhere.
function endOfString(bytes, start) {
  let end = start;
  for (;;) {
    end = bytes.indexOf(QUOTE, end + 1);
    let escapes = 0;
    while (end > 0 && bytes[end - 1 - escapes] === BACKSLASH) {
      escapes += 1;
    }
    if (end < 0 || escapes % 2 === 0) {
      return end;
    }
  }
}

function predict(r) {
  const body = r.requestBuffer;
  if (body && depth(body) > DEEPEST) {
    r.headersOut['Content-Type'] = 'application/json';
    r.return(400, '{"error": "lists are nested too deeply"}\n');
    return;
  }
  r.internalRedirect('@serving');
}

export default {predict};
