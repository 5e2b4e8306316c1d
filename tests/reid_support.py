"""Small folders of re-identification data sets, in their published layouts."""

import numpy as np
import scipy.io
from PIL import Image

LAYOUTS = {
  "market1501": (
    "Market-1501-v15.09.15",
    [
      "bounding_box_train/0002_c1s1_000451_03.jpg",
      "bounding_box_train/0002_c2s1_000476_01.jpg",
      "bounding_box_train/0007_c3s3_077419_03.jpg",
      "bounding_box_test/-1_c1s1_000401_03.jpg",
      "bounding_box_test/0000_c1s1_000151_01.jpg",
      "bounding_box_test/0003_c4s6_015641_04.jpg",
      "query/0003_c1s6_015971_00.jpg",
    ],
    {2: [1, 2], 7: [3], 3: [4, 1]},
  ),
  "dukemtmc": (
    "DukeMTMC-reID",
    [
      "bounding_box_train/0001_c2_f0046182.jpg",
      "bounding_box_test/0005_c3_f0046182.jpg",
      "query/0005_c2_f0046985.jpg",
    ],
    {1: [2], 5: [3, 2]},
  ),
  "cuhk02": (
    "CUHK02",
    [
      f"Dataset/P{pair}/cam{camera}/{person:03d}_{camera}.png"
      for pair in range(1, 6)
      for camera in (1, 2)
      for person in (1, 3)
    ],
    {i: [2 * (i // 2), 2 * (i // 2) + 1] for i in range(10)},
  ),
  "cuhk03": (
    "CUHK03",
    [
      "images_detected/1_001_1_01.png",
      "images_detected/1_001_2_06.png",
      "images_detected/2_001_1_01.png",
      "images_detected/5_010_2_10.png",
    ],
    {0: [0, 1], 1: [2], 2: [9]},
  ),
  "cuhk_sysu": (
    "CUHK-SYSU",
    ["cropped_images/p11422_s16929_1.jpg", "cropped_images/p11422_s16930_2.jpg"],
    {11422: [-1, -1]},
  ),
  "viper": (
    "VIPeR",
    [f"cam_{c}/{i:03d}_{45 * (c == 'b')}.bmp" for c in "ab" for i in range(6)],
    {i: [0, 1] for i in range(6)},
  ),
  "prid": (
    "prid_2011",
    [
      *(f"single_shot/cam_a/person_{i:04d}.png" for i in (1, 2, 3, 4, 200, 201)),
      *(f"single_shot/cam_b/person_{i:04d}.png" for i in (1, 2, 3, 4, 200, 201, 749)),
    ],
    {1: [0, 1], 2: [0, 1], 3: [0, 1], 4: [0, 1], 200: [0, 1], 201: [0, 1], 749: [1]},
  ),
  "grid": (
    "underground_reid",
    [
      *(f"probe/{i:04d}_1_2500{i}_107_32_106_221.jpeg" for i in range(1, 5)),
      *(f"gallery/{i:04d}_5_2500{i}_107_32_106_221.jpeg" for i in range(5)),
    ],
    {0: [5], **{i: [5, 1] for i in range(1, 5)}},
  ),
  "ilids": (
    "i-LIDS_Pedestrian",
    [f"Persons/{i:04d}{k:03d}.jpg" for i in range(1, 6) for k in range(1, 4)],
    {i: [-1] * 3 for i in range(1, 6)},
  ),
}


def make_tree(root, name, *, image=False):
  """Writes the files of a layout below `root`: empty ones, or images."""
  folder, names, _ = LAYOUTS[name]
  for number, path in enumerate(names):
    write(root / folder / path, number if image else None)
  if name == "grid":
    write_partitions(root / folder / "features_and_partitions.mat", [[1, 2], [3, 4]])
  return root / folder


def write(path, number=None):
  """An empty file, or an image of one colour."""
  path.parent.mkdir(parents=True, exist_ok=True)
  if number is None:
    path.touch()
    return
  pixels = np.random.default_rng(number).integers(0, 255, (8, 4, 3), dtype=np.uint8)
  Image.fromarray(pixels).save(path)


def write_partitions(path, people):
  """GRID's file: ten structs whose third field holds the people to train on."""
  cells = np.empty((1, 10), object)
  for i in range(10):
    rows = np.array([people[i % len(people)]])
    cells[0, i] = {"probe": 0, "gallery": 0, "train": rows}
  scipy.io.savemat(path, {"trainIdxAll": cells})


def make_user_tree(root, domains, *, people=6, cameras=2):
  """`<domain>/<identity>_<camera>_<number>.png` with images."""
  number = 0
  for domain in domains:
    for person in range(people):
      for camera in range(cameras):
        number += 1
        write(root / domain / f"p{person}_c{camera}_{number}.png", number)
  return root
