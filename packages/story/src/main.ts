/** Entry of `npm start`. The story needs the client layer of mlskit, which does not exist yet. */
console.error("npm start: the story is not written yet; it needs the client layer of mlskit.");
process.exitCode = 1;
