import numpy as np
import pytest

from laminax.train.data import image_folder

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def plain(color, height=6, width=6):
    return np.full((height, width, 3), color, np.uint8)


def test_classes_and_files_in_the_order_of_their_names(tmp_path):
    save(tmp_path / "rose" / "b.png", plain((200, 0, 0)))
    save(tmp_path / "rose" / "a.PNG", plain((100, 0, 0)))
    save(tmp_path / "daisy" / "z.png", plain((0, 0, 50)))
    save(tmp_path / ".hidden" / "x.png", plain((9, 9, 9)))
    (tmp_path / "rose" / "notes.txt").write_text("no image")
    save(tmp_path / "rose" / ".x.png", plain((9, 9, 9)))
    images = image_folder(tmp_path, (6, 6))
    assert images.classes == ("daisy", "rose") and images.y.tolist() == [0, 1, 1]
    assert images.x.dtype == np.uint8 and images.y.dtype == np.int32
    assert images.x[:, 0, 0].tolist() == [[0, 0, 50], [100, 0, 0], [200, 0, 0]]


def test_an_image_is_cut_around_its_center_and_brought_to_size(tmp_path):
    wide = np.repeat(np.array([0, 100, 200, 40], np.uint8), 8)[None, :, None]
    save(tmp_path / "a" / "wide.png", np.broadcast_to(wide, (16, 32, 3)).copy())
    x = image_folder(tmp_path, (8, 8)).x[0]  # of the middle 16 columns: half 100, half 200
    np.testing.assert_array_equal(x[:, 1:3], 100)
    np.testing.assert_array_equal(x[:, 5:7], 200)
    assert image_folder(tmp_path, (4, 10)).x.shape == (1, 4, 10, 3)


def test_gray_is_the_weighted_mean(tmp_path):
    save(tmp_path / "a" / "red.png", plain((200, 0, 0)))
    x = image_folder(tmp_path, (6, 6), channels=1).x
    assert x.shape == (1, 6, 6, 1) and abs(int(x[0, 0, 0, 0]) - 0.299 * 200) < 1


def test_misuse(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"image_folder: no folder .*none"):
        image_folder(tmp_path / "none", (4, 4))
    with pytest.raises(FileNotFoundError, match="holds no folders; put the images of each class"):
        image_folder(tmp_path, (4, 4))
    (tmp_path / "a").mkdir()
    with pytest.raises(FileNotFoundError, match=r"a holds no images \(.bmp, "):
        image_folder(tmp_path, (4, 4))
    (tmp_path / "a" / "x.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"x.png cannot be read as an image .*; replace or remove"):
        image_folder(tmp_path, (4, 4))
    with pytest.raises(ValueError, match=r"channels must be 3 \(color\) or 1 \(gray\), got 4"):
        image_folder(tmp_path, (4, 4), channels=4)
    with pytest.raises(ValueError, match=r"size must be \(height, width\), got \(0, 4\)"):
        image_folder(tmp_path, (0, 4))
