// What a person reads when something goes wrong: pure functions.

export const MAX_FILE_BYTES = 16 * 1024 * 1024;
const MIB = 1024 * 1024;

// First bytes of files that people try.
const SIGNATURES = [
  ["JPEG", (bytes) => starts(bytes, 0, [0xff, 0xd8, 0xff])],
  ["PNG", (bytes) => starts(bytes, 0, [0x89, 0x50, 0x4e, 0x47])],
  ["WebP", (bytes) => text(bytes, 0, 4) === "RIFF" && text(bytes, 8, 12) === "WEBP"],
  ["AVIF", (bytes) => text(bytes, 4, 12) === "ftypavif"],
  ["HEIC", (bytes) => /^ftyp(heic|heix|hevc|mif1|msf1)$/.test(text(bytes, 4, 12))],
  ["GIF", (bytes) => text(bytes, 0, 4) === "GIF8"],
];

/** Name the kind of file that starts with these bytes; null when it is none that we know. */
export function kindOf(bytes) {
  const found = SIGNATURES.find(([, fits]) => fits(bytes));
  return found ? found[0] : null;
}

/** Tell whether the service takes files of this kind. */
export function isTaken(kind) {
  return kind === "JPEG" || kind === "PNG";
}

// The service's sentences about a picture, which its API fixes to the letter.
const FAILURES = [
  [/^Can not load image\.$/, (_, { kind }) => ({ title: "This file is no picture the service can read", advice: whyNotLoadable(kind) })],
  [
    /^Resolution is too big: (\d+)x(\d+)\. Max allowed resolution: (\d+)x(\d+)/,
    ([, width, height, maxWidth, maxHeight]) => ({
      title: "This photo has too many pixels",
      advice: `It has ${width} × ${height}; the service takes up to ${maxWidth} × ${maxHeight}.`,
      canShrink: true,
    }),
  ],
  [/^File size is too big: ([\d.]+)Mb\. Max allowed size: ([\d.]+)Mb/, ([, size, limit]) => tooManyBytes(size, limit)],
  [
    /^Can not load image from url\.$/,
    () => ({
      title: "No picture could be fetched from this address",
      advice:
        "It must be a public address of a JPEG or PNG file itself, not of a page that shows one, of less than 16 MiB. " +
        "If it is right, save the picture and choose the file instead.",
    }),
  ],
  [
    /^Can not load background image\.$/,
    (_, { backdropKind }) => ({ title: "The background picture cannot be used", advice: `${whyNotLoadable(backdropKind)} At most 4096 × 4096 pixels.`, isBackdrop: true }),
  ],
  [/^Processing failed$/, () => ({ title: "The service failed on this photo", advice: "Try again. If it fails again, try another photo.", canRetry: true })],
];

// By HTTP status; `said` is the service's own sentence.
const STATUSES = {
  401: () => ({ title: "This service asks for an API key", advice: "Whoever runs it can give you one.", asksForKey: true }),
  403: ({ said }) => ({ title: "This API key does not allow that", advice: said, asksForKey: true }),
  413: () => ({ title: "Photo and background together are too large", advice: "The service takes requests of up to 32 MiB. Use smaller files.", canShrink: true }),
  422: ({ said }) => ({ title: "The service does not take this request", advice: said }),
  429: () => ({ title: "Your share of the service is used up for now", advice: "It becomes free again after a while.", canRetry: true }),
  501: ({ said }) => ({ title: "This service does not offer that", advice: said || "Choose something else under Show, Background or More." }),
  503: () => ({ title: "The service is busy or just starting", advice: "Nothing is wrong with your photo.", canRetry: true }),
  504: () => ({ title: "The service did not answer in time", advice: "Try again later, or with a smaller photo.", canRetry: true }),
};

/**
 * Turn a problem into words.
 *
 * problem: see Problem in api.js. context: {kind, backdropKind, isOnline, hadKey}, the kinds as of kindOf.
 * Returns {title, advice} and, where they are so, canRetry, canShrink, asksForKey; isBackdrop: the photo is not to blame.
 */
export function explain(problem, context) {
  if (problem.kind === "network") return network(context);
  if (problem.kind === "failure") return failure(problem.message, context);
  if (problem.status === 401 && context.hadKey) {
    return { title: "The service did not accept this API key", advice: "Check it and enter it again.", asksForKey: true };
  }
  const known = STATUSES[problem.status];
  if (known) return known({ said: problem.message });
  return {
    title: "The service failed",
    advice: problem.message || `It answered ${problem.status || "something"} that this page does not understand.`,
    canRetry: true,
  };
}

/** Say that the photo, or the background, has too many bytes for the service. */
export function explainTooLarge(bytes, isBackdrop) {
  const words = tooManyBytes((bytes / MIB).toFixed(1), "16");
  return isBackdrop ? { ...words, title: "The background picture is too large", canShrink: false, isBackdrop } : words;
}

function failure(message, context) {
  for (const [pattern, words] of FAILURES) {
    const match = pattern.exec(message);
    if (match) return words(match, context);
  }
  return { title: "The service refused this photo", advice: message };
}

function network({ isOnline }) {
  const advice = isOnline ? "It may be restarting, or the connection broke. Try again in a moment." : "This device is offline. Connect it, then try again.";
  return { title: "The service cannot be reached", advice, canRetry: true };
}

function whyNotLoadable(kind) {
  if (isTaken(kind)) return `It starts like a ${kind} file, but is damaged or not whole.`;
  if (kind) return `It is a ${kind} file; the service takes JPEG and PNG. Save it as one of these and try again.`;
  return "The service takes JPEG and PNG files, and looks at what is inside, not at the name.";
}

function tooManyBytes(size, limit) {
  return { title: "This file is too large", advice: `It has ${size} MiB; the service takes less than ${limit} MiB.`, canShrink: true };
}

function starts(bytes, at, expected) {
  return expected.every((value, index) => bytes[at + index] === value);
}

function text(bytes, from, to) {
  return String.fromCharCode(...bytes.slice(from, to));
}
