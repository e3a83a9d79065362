// Extras on top of the browser's own players: only one plays at a time, the pictures show where
// it is and can be clicked, and a button changes sides without losing the place.
"use strict";

for (const clip of document.querySelectorAll(".clip")) {
  const players = [...clip.querySelectorAll("audio")];
  const button = clip.querySelector("button");
  let last = players[0];

  const follow = (player) => {
    const figure = player.closest("figure");
    figure.style.setProperty("--played", player.currentTime / player.duration || 0);
    figure.classList.add("started");
    if (!player.paused) requestAnimationFrame(() => follow(player));
  };

  for (const player of players) {
    player.addEventListener("play", () => {
      for (const other of document.querySelectorAll("audio")) if (other !== player) other.pause();
      last = player;
      follow(player);
    });
    player.addEventListener("seeked", () => follow(player));
    for (const plot of player.closest("figure").querySelectorAll(".plot")) {
      plot.addEventListener("click", (event) => {
        const box = plot.getBoundingClientRect();
        player.currentTime = ((event.clientX - box.left) / box.width) * player.duration;
        player.play();
      });
    }
  }

  button.hidden = false;
  button.addEventListener("click", () => {
    const next = players[(players.indexOf(last) + 1) % players.length];
    next.currentTime = last.ended ? 0 : last.currentTime;
    next.play();
  });
}
